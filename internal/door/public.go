package door

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// PublicRoute says which requests need no token.
type PublicRoute struct {
	// Method is an HTTP method in upper case; GET is HEAD too. Default: every method.
	Method string `json:"method,omitempty"`

	// Path is a pattern, as in Requirement. The most specific pattern wins, among those of public routes and of
	// requirements together. Required.
	Path string `json:"path"`

	// EncodedSlash is as in Requirement. Default: false.
	EncodedSlash bool `json:"encoded_slash,omitempty"`

	// Position is the file and the line of the Caddyfile, such as Caddyfile:12. The Caddyfile adapter sets it. Warnings about
	// the config name it; nothing else uses it. Default: none.
	Position string `json:"position,omitempty"`
}

// requirement returns the route in the form of those that need a token.
func (p *PublicRoute) requirement() *Requirement {
	return &Requirement{Method: p.Method, Path: p.Path, EncodedSlash: p.EncodedSlash, public: true}
}

// refusePublic returns the refusal of a request to a public route, nil if there is none. With KeepToken the upstream takes
// every token for a verified one. One in the URL cannot be removed.
func (d *Door) refusePublic(r *http.Request) *Refusal {
	if d.KeepToken {
		if challenge := oauth.TokenInURL(r.URL); challenge != nil {
			return &Refusal{Challenge: challenge}
		}
	}
	return nil
}

// passPublic has the next handlers serve a request that needs no token. All other checks have been made. A token that is
// sent anyway is not looked at, so it must not go on.
func (d *Door) passPublic(w http.ResponseWriter, r *http.Request, next Handler) error {
	if refused := d.refusePublic(r); refused != nil {
		return d.refuse(w, r, refused)
	}
	d.Host.SetUser(r, new(token.Claims))
	r.Header.Del("Authorization")
	r.Header.Del(dpop.Header)
	httpguard.DropUpgrades(r.Header)
	d.Host.AddLogFields(r, zap.Bool("m2m_public", true))
	d.Metrics.Request(resultPublic)
	return passUnwatched(w, r, next)
}

// resultPublic is what metrics count a request to a public route as.
const resultPublic = "public"
