package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// defaultIdentityHeaders are what upstreams are told: header name to claim name.
var defaultIdentityHeaders = map[string]string{
	"X-Client-Id":    "client_id",
	"X-Client-Scope": "scope",
}

// forbiddenIdentityHeaders carry the message itself; a claim may not.
var forbiddenIdentityHeaders = []string{
	"Authorization", "Connection", "Content-Length", "Cookie", "Host", "Keep-Alive", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// identityHeaders tells the upstream who asks, in headers that nobody else can set.
type identityHeaders struct {
	claims   map[string]string // canonical header name to claim name
	stripped []string
	// pinned are those by which policy judges: what it saw is what arrives.
	pinned []string
}

// newIdentityHeaders fails on a header name that is none or that carries the message itself, and
// on an empty claim name.
func newIdentityHeaders(headers map[string]string, off bool) (*identityHeaders, error) {
	if len(headers) == 0 && !off {
		headers = defaultIdentityHeaders
	}
	h := &identityHeaders{claims: make(map[string]string)}
	for name, claim := range headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case off:
			return nil, fmt.Errorf("header %q is configured, and so is that there are none", name)
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("%q is not a header name", name)
		case slices.Contains(forbiddenIdentityHeaders, canonical):
			return nil, fmt.Errorf("header %q cannot carry a claim", canonical)
		case httpguard.FoldsToAny(canonical, setByProxy):
			return nil, fmt.Errorf("header %q cannot carry a claim: reverse_proxy sets or removes it after the door", canonical)
		case claim == "":
			return nil, fmt.Errorf("header %q has no claim", canonical)
		case h.claims[canonical] != "":
			return nil, fmt.Errorf("header %q is configured twice", canonical)
		case httpguard.FoldsToAny(canonical, slices.Collect(maps.Keys(h.claims))):
			return nil, fmt.Errorf("header %q is configured beside one that upstreams may take it for", canonical)
		}
		h.claims[canonical] = claim
	}
	h.stripped = slices.AppendSeq(slices.Collect(maps.Keys(h.claims)), maps.Keys(defaultIdentityHeaders))
	return h, nil
}

// strip removes what the client sent in their place. It comes before anything else.
func (h *identityHeaders) strip(r *http.Request) {
	httpguard.StripIdentityHeaders(r.Header, h.stripped)
	if len(h.pinned) > 0 {
		httpguard.PinHeaders(r.Header, h.pinned)
	}
	// An upstream that merges a trailer into the header, against RFC 9110 §6.5.1, would take the client's
	// fields for those of the door or of a later handler. So no trailer goes on. net/http adds what it reads
	// after the body to its own request, of which the handlers of Caddy have a copy.
	r.Trailer = nil
	delete(r.Header, "Trailer")
}

// check refuses a token with a list that its header would show as another list: ["x admin"] and
// ["x", "admin"] would both be "x admin".
func (h *identityHeaders) check(claims *token.Claims) *refusal {
	for _, name := range h.claims {
		if list, ok := claims.All[name].([]any); ok && !isOwnText(name) && !isSeparable(list) {
			refused := invalidToken(&token.Error{Reason: token.BadClaims, Detail: "an element of a list for a header is empty or has white space"})
			refused.issuer = claims.Issuer
			return refused
		}
	}
	return nil
}

// set writes the claims that the token has. It leaves out a value that cannot stand in a header, and
// one that a reader would trim (RFC 9110 §5.5): " admin" is not admin.
func (h *identityHeaders) set(header http.Header, claims *token.Claims) {
	for name, claim := range h.claims {
		if value := identityText(claims, claim); value != "" && httpguts.ValidHeaderFieldValue(value) && strings.TrimSpace(value) == value {
			header[name] = []string{value}
		}
	}
}

// isOwnText reports whether identityText takes the claim from a field of the token and not from the
// claim of that name, which may mean anything in another issuer's token.
func isOwnText(name string) bool { return name == "client_id" || name == "scope" }

// identityText returns a claim for the upstream. The issuer's options say which claims hold the
// client and the scopes.
func identityText(claims *token.Claims, name string) string {
	switch name {
	case "client_id":
		return claims.ClientID
	case "scope":
		return claims.Scope
	}
	return claimText(claims.All[name])
}

// claimText returns a claim as text: a string as it is, a list of strings separated by spaces, and
// anything else as JSON. It returns "" for a claim that is not there, and for a list of strings that
// cannot be told from another one in this form.
func claimText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		words, ok := allStrings(v)
		switch {
		case ok && !isSeparable(v):
			return ""
		case ok:
			return strings.Join(words, " ")
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

func allStrings(values []any) ([]string, bool) {
	words := make([]string, len(values))
	for n, value := range values {
		word, ok := value.(string)
		if !ok {
			return nil, false
		}
		words[n] = word
	}
	return words, true
}

// isSeparable reports whether a list is the same list to a reader who splits its text at white
// space, of any kind. A list that is not one of strings is written as JSON, and needs no separator.
func isSeparable(list []any) bool {
	words, ok := allStrings(list)
	return !ok || !slices.ContainsFunc(words, func(word string) bool {
		return word == "" || strings.ContainsFunc(word, unicode.IsSpace)
	})
}

// claimPlaceholder is the prefix of the placeholders that hold claims.
const claimPlaceholder = "http.auth.user.claims."

// setPlaceholders tells later handlers who asks, under the names that Caddy's own authentication
// uses. A claim that is not there is empty, for a placeholder that nobody knows is left as it stands.
func setPlaceholders(r *http.Request, claims *token.Claims) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	repl.Set("http.auth.user.id", claims.Subject)
	repl.Set("http.auth.user.client_id", claims.ClientID)
	repl.Set("http.auth.user.scope", claims.Scope)
	repl.Set("http.auth.user.jti", claims.ID)
	repl.Set("http.auth.user.issuer", claims.Issuer)
	repl.Map(func(key string) (any, bool) {
		name, found := strings.CutPrefix(key, claimPlaceholder)
		if !found {
			return nil, false
		}
		return claimText(claims.All[name]), true
	})
}
