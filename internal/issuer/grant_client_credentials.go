package issuer

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// beginClientCredentials begins a request of the client credentials grant (RFC 6749 §4.4).
func (t *tokenRequest) beginClientCredentials(ctx context.Context) *oauth.Error {
	return t.authenticate(ctx, t.oauth.Credentials, t.fault)
}
