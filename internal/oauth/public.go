package oauth

import "net/http"

// Public returns a handler that lets scripts of every web page read the answers of serve, also its errors (the CORS protocol of
// the Fetch Standard). The answers must be the same for every caller: they have neither a secret nor anything that depends on
// credentials, which a browser does not send where the allowed origin is "*". Public answers OPTIONS, and with it preflight
// requests, itself. It leaves an allowed origin that an earlier handler has set.
func Public(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if h.Get("Access-Control-Allow-Origin") == "" {
			h.Set("Access-Control-Allow-Origin", "*")
		}
		if r.Method != http.MethodOptions {
			serve(w, r)
			return
		}
		h.Set("Allow", publicMethods)
		if r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, HEAD")
			h.Set("Access-Control-Allow-Headers", "*, Authorization") // which "*" does not include
			h.Set("Access-Control-Max-Age", "86400")
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// publicMethods are the methods of a public document.
const publicMethods = "GET, HEAD, OPTIONS"
