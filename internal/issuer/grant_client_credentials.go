package issuer

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// beginClientCredentials begins a request of the client credentials grant (RFC 6749 §4.4).
func (t *tokenRequest) beginClientCredentials(ctx context.Context) *oauth.Error {
	err := t.authenticate(ctx, t.oauth.Credentials, t.fault)
	if err == nil && (t.method == oauth.FederatedJWT || t.method == oauth.SPIFFEJWT) {
		t.subject = t.party()
	}
	return err
}
