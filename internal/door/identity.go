package door

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// defaultIdentityHeaders are the headers that upstreams get by default: header name to claim name.
var defaultIdentityHeaders = map[string]string{
	"X-Client-Id":    "client_id",
	"X-Client-Scope": "scope",
}

// messageHeaders belong to the message itself. Claims and policies cannot set them.
var messageHeaders = []string{
	"Authorization", "Connection", "Content-Length", "Cookie", dpop.Header, "Host", "Keep-Alive", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// setByProxy are the headers that reverse_proxy sets or removes after the door. The upstream would not get what the
// door or its policy read or set there.
var setByProxy = []string{
	"Alt-Svc", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}

// identityHeaders tell the upstream who sends a request, in headers that only the door can set.
type identityHeaders struct {
	claims   map[string]string // canonical header name to claim name
	headers  []string          // the keys of claims
	lists    []string          // the claims that may be lists in a header
	stripped []string
	pinned   []string // the policy reads these, so only this spelling goes on
}

// CheckHeaders fails on identity headers that a door does not take.
func CheckHeaders(headers map[string]string, off bool) error {
	_, err := newIdentityHeaders(headers, off)
	return err
}

// newIdentityHeaders fails on a name that is not a header name or belongs to the message itself, and on an empty claim
// name.
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
		case slices.Contains(messageHeaders, canonical):
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
	h.headers = slices.Sorted(maps.Keys(h.claims))
	for _, claim := range h.claims {
		if !isTokenField(claim) {
			h.lists = append(h.lists, claim)
		}
	}
	h.stripped = slices.AppendSeq(slices.Collect(maps.Keys(h.claims)), maps.Keys(defaultIdentityHeaders))
	return h, nil
}

// strip removes what the client sent in the place of identity headers.
func (h *identityHeaders) strip(r *http.Request) {
	httpguard.StripIdentityHeaders(r.Header, h.stripped)
	if len(h.pinned) > 0 {
		httpguard.PinHeaders(r.Header, h.pinned)
	}
	// An upstream that merges trailers into the header, against RFC 9110 §6.5.1, would take the client's fields for
	// those of the door or of a later handler. So no trailer goes on. net/http adds the trailers that it reads after
	// the body to its own request, of which Caddy's handlers have a copy.
	r.Trailer = nil
	delete(r.Header, "Trailer")
}

// check refuses a token with a list that would be another list in its header: ["x admin"] and ["x", "admin"] would both
// be "x admin".
func (h *identityHeaders) check(claims *token.Claims) *Refusal {
	for _, name := range h.lists {
		if list, ok := claims.Get(name).([]any); ok && !isSeparable(list) {
			refused := invalidToken(&token.Error{Reason: token.BadClaims, Detail: "an element of a list for a header is empty or has white space"})
			refused.issuer = claims.Issuer
			return refused
		}
	}
	return nil
}

// set writes the claims that the token has. It leaves out a value that cannot stand in a header, and one that a reader
// would trim (RFC 9110 §5.5): " admin" is not admin.
func (h *identityHeaders) set(header http.Header, claims *token.Claims) {
	values := make([]string, len(h.headers))
	for n, name := range h.headers {
		if value := identityText(claims, h.claims[name]); value != "" && httpguts.ValidHeaderFieldValue(value) && strings.TrimSpace(value) == value {
			values[n] = value
			header[name] = values[n : n+1 : n+1]
		}
	}
}

// isTokenField reports whether identityText takes the claim from a field of the token. The claim of that name may mean
// anything in another issuer's token.
func isTokenField(name string) bool { return name == "client_id" || name == "scope" }

// identityText returns a claim for the upstream. The issuer's options say which claims hold the client and the scopes.
func identityText(claims *token.Claims, name string) string {
	switch name {
	case "client_id":
		return claims.ClientID
	case "scope":
		return claims.Scope
	}
	return ClaimText(claims.Get(name))
}
