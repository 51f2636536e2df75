package issuer

import (
	"bufio"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// Hint is the answer to a request that was meant for the issuer, and misses its routes. Without it, such a request would end in
// Caddy's 200 with an empty body, which a client takes for a broken token or for an empty document.
type Hint struct {
	*oauth.Error
	// Certain is set for a route of the issuer with other slashes. No other handler can mean anything else by it, and it may
	// carry a secret, so that no other handler gets it.
	Certain bool
	// Own is set for a path below that of the issuer. Another issuer of the site may give a hint for others.
	Own bool
}

// Hints has the hints of an issuer.
type Hints struct {
	exact  map[string]string // what is at which URL, by the path of a route
	own    map[string]string // the same, by a lower-case path below the issuer's
	likely map[string]string // the same, by another lower-case path
}

// Hints returns the hints to the routes of the issuer.
func (s *Server) Hints() Hints {
	base, _ := url.Parse(s.URL) // the config has checked it
	h := Hints{exact: make(map[string]string), own: make(map[string]string), likely: make(map[string]string)}
	for _, e := range endpoints {
		what := e.what + " is " + s.URL + e.path
		h.exact[base.Path+e.path], h.likely[e.path] = what, what
		for _, path := range e.elsewhere {
			h.own[strings.ToLower(base.Path+path)] = what
		}
		h.own[strings.ToLower(base.Path+e.path)] = what
		if e.path == oauth.JWKSPath {
			h.likely["/.well-known/jwks.json"], h.likely["/.well-known/jwks"] = what, what
		}
	}
	openID, server := oauth.WellKnownPaths(s.URL)
	origin := strings.TrimSuffix(s.URL, base.Path)
	h.addDocument("the discovery document of OpenID Connect is "+origin, openID, base.Path)
	h.addDocument("the authorization server metadata is "+origin, server, base.Path)
	return h
}

// addDocument adds a discovery document, which clients look for before the path of the issuer, after it, and without it.
func (h Hints) addDocument(where, path, base string) {
	name := strings.TrimSuffix(strings.TrimPrefix(path, base), base)
	h.exact[path], h.likely[name] = where+path, where+path
	h.own[strings.ToLower(name+base)], h.own[strings.ToLower(base+name)] = where+path, where+path
}

// endpoints are the routes of an issuer, with the paths that they have at other issuers: Auth0, Okta, Entra ID, Keycloak, Cognito,
// Duende IdentityServer and Ory Hydra.
var endpoints = []struct {
	what, path string
	elsewhere  []string
}{
	{"the token endpoint", oauth.TokenPath, []string{
		"/token", "/oauth/token", "/oauth/v2/token", "/oauth2/v1/token", "/oauth2/v2.0/token", "/v1/token", "/connect/token",
		"/protocol/openid-connect/token",
	}},
	{"the key set", oauth.JWKSPath, []string{
		"/jwks", "/jwks.json", "/.well-known/jwks.json", "/.well-known/jwks", "/.well-known/openid-configuration/jwks", "/oauth/jwks",
		"/oauth2/jwks.json", "/oauth2/keys", "/oauth2/certs", "/oauth2/v1/keys", "/discovery/v2.0/keys", "/protocol/openid-connect/certs",
	}},
	{"the introspection endpoint", oauth.IntrospectPath, []string{
		"/introspect", "/oauth/introspect", "/oauth2/introspection", "/oauth2/v1/introspect", "/connect/introspect",
		"/protocol/openid-connect/token/introspect",
	}},
	{"the revocation endpoint", oauth.RevokePath, []string{
		"/revoke", "/oauth/revoke", "/oauth2/revocation", "/oauth2/v1/revoke", "/connect/revocation", "/protocol/openid-connect/revoke",
	}},
	{"the feed of revocations", oauth.RevocationsPath, nil},
	{"the authorization endpoint, which refuses every request,", oauth.AuthorizePath, nil},
}

// Find returns the hint for a path that is not a route of the issuer, nil if the request was not meant for it.
func (h Hints) Find(path string) *Hint {
	clean := path
	if strings.Contains(path, "//") || strings.HasSuffix(path, "/") {
		clean = "/" + strings.Join(strings.FieldsFunc(path, func(c rune) bool { return c == '/' }), "/")
	}
	if what, ok := h.exact[clean]; ok && clean != path {
		return &Hint{Error: oauth.NotFound(what), Certain: true, Own: true}
	}
	clean = strings.ToLower(clean)
	if what, ok := h.own[clean]; ok {
		return &Hint{Error: oauth.NotFound(what), Own: true}
	}
	if what, ok := h.likely[clean]; ok {
		return &Hint{Error: oauth.NotFound(what)}
	}
	return nil
}

// IsAnswered calls another handler, and reports whether it has answered. An empty 404 is not an answer, and is not written.
func (h *Hint) IsAnswered(w http.ResponseWriter, other func(http.ResponseWriter) error) (bool, error) {
	held := &heldWriter{ResponseWriter: w}
	err := other(held)
	if err == nil && !held.answered {
		w.Header().Del("Content-Encoding") // of the empty answer
	}
	return err != nil || held.answered, err
}

// heldWriter holds back an empty 404.
type heldWriter struct {
	http.ResponseWriter
	notFound bool // a 404 is held back
	answered bool
}

// WriteHeader implements http.ResponseWriter.
func (w *heldWriter) WriteHeader(status int) {
	switch {
	case w.answered:
		w.ResponseWriter.WriteHeader(status)
	case status == http.StatusNotFound && !declaresBody(w.Header()):
		w.notFound = true
	default:
		w.answered = w.answered || status >= 200 || status == http.StatusSwitchingProtocols
		w.ResponseWriter.WriteHeader(status)
	}
}

// declaresBody finds the answer to HEAD whose GET has a body, which is not written.
func declaresBody(h http.Header) bool {
	length := h.Get("Content-Length")
	return length != "" && length != "0"
}

// Write implements http.ResponseWriter.
func (w *heldWriter) Write(body []byte) (int, error) {
	if len(body) == 0 {
		return 0, nil
	}
	w.release()
	return w.ResponseWriter.Write(body)
}

// FlushError is what http.ResponseController calls.
func (w *heldWriter) FlushError() error {
	w.release()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker. What follows on the connection is the answer.
func (w *heldWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.answered = w.answered || err == nil
	return conn, buffered, err
}

// Unwrap is what http.ResponseController calls for everything else.
func (w *heldWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// release writes the 404 that was held back, because it is not empty.
func (w *heldWriter) release() {
	if w.notFound && !w.answered {
		w.ResponseWriter.WriteHeader(http.StatusNotFound)
	}
	w.answered = true
}
