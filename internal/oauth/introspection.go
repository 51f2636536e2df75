package oauth

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// typeIntrospection is the media type of a signed introspection response (RFC 9701 §5).
const typeIntrospection = "application/token-introspection+jwt"

// WantsSignedIntrospection reports whether a client accepts the signed response (RFC 9701 §4) by name, and prefers it to JSON
// or has no preference.
func WantsSignedIntrospection(h http.Header) bool {
	signed, plain := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		media, attrs, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		switch media {
		case typeIntrospection:
			signed = quality(attrs["q"])
		case typeJSON:
			plain = quality(attrs["q"])
		}
	}
	return signed > 0 && signed >= plain
}

// quality reads a weight (RFC 9110 §12.4.2).
func quality(q string) float64 {
	if q == "" {
		return 1
	}
	weight, err := strconv.ParseFloat(q, 64)
	if err != nil || !(weight >= 0 && weight <= 1) {
		return 0
	}
	return weight
}

// WriteIntrospection answers with the members of an introspection response (RFC 7662 §2.2) and forbids caches to store it.
func WriteIntrospection(w http.ResponseWriter, members map[string]any) {
	writeJSON(w, http.StatusOK, members)
}

// WriteSignedIntrospection answers with a signed introspection response.
func WriteSignedIntrospection(w http.ResponseWriter, jwt string) {
	writeBody(w, http.StatusOK, typeIntrospection, []byte(jwt))
}

// WriteRevoked answers that a token is revoked, or was not valid (RFC 7009 §2.2). The body is empty.
func WriteRevoked(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
