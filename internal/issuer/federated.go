package issuer

import (
	"context"
	"errors"

	"github.com/caddy-m2m/caddy-m2m/internal/assertion"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// isFederated reports whether a client_assertion is one of a trusted issuer, or a JWT-SVID, and not of the client itself.
func (c *call) isFederated(credentials oauth.Credentials) bool {
	if credentials.AssertionType == oauth.AssertionTypeSPIFFE {
		return true
	}
	if len(c.issuer.Trusted) == 0 {
		return false
	}
	opened, err := assertion.Open(credentials.Assertion)
	return err == nil && c.issuer.issuerOf(opened) != nil
}

// authenticateFederated finds a client by an assertion of a trusted issuer (RFC 7523 §2.2). A JWT-SVID may come as either type of
// assertion; the type for JWT-SVIDs is for them alone (draft-ietf-oauth-spiffe-client-auth §3.1).
func (c *call) authenticateFederated(ctx context.Context, credentials oauth.Credentials, fault faulty) *oauth.Error {
	a, err := c.identify(ctx, presented{raw: credentials.Assertion, clientID: credentials.ClientID})
	if err == nil && credentials.AssertionType == oauth.AssertionTypeSPIFFE && a.method != oauth.SPIFFEJWT {
		err = &registry.Refusal{Reason: badAssertion}
	}
	if err != nil {
		return c.refuseIdentity(ctx, credentials.ClientID, err, fault)
	}
	return c.accept(a)
}

// beginJWTBearer begins a request of the jwt-bearer grant (RFC 7523 §2.1). The assertion of a trusted issuer stands for the client
// that gets the token, so client authentication is not needed (RFC 7521 §4.1). A client that authenticates nevertheless must be
// the one that the assertion stands for.
func (t *tokenRequest) beginJWTBearer(ctx context.Context) *oauth.Error {
	credentials := t.oauth.Credentials
	authenticates := credentials.Method != ""
	if authenticates {
		if err := t.authenticate(ctx, credentials, t.fault); err != nil {
			return err
		}
		credentials.ClientID = t.client.ID
	}
	a, err := t.identify(ctx, presented{raw: t.oauth.Assertion, clientID: credentials.ClientID, types: grantTypesOfJWT, besides: authenticates})
	if err != nil {
		t.authenticated = authenticated{}
		return asInvalidGrant(err, t.refuseIdentity(ctx, credentials.ClientID, err, t.fault))
	}
	t.subject = a.party()
	if authenticates {
		return nil
	}
	return t.accept(a)
}

// grantTypesOfJWT are the values of typ of an assertion that is a grant: that of RFC 7523bis, and those of tokens that were made
// before it.
var grantTypesOfJWT = []string{"", "JWT", assertion.GrantType}

// asInvalidGrant turns the refusal of a client into that of a grant (RFC 7521 §4.1.1).
func asInvalidGrant(cause error, refused *oauth.Error) *oauth.Error {
	if refused.Code == oauth.CodeInvalidClient && !errors.Is(cause, errNotTaken) {
		return oauth.InvalidGrant()
	}
	return refused
}

// isKeysFault reports whether an error is that the keys of a trusted issuer are not there.
func isKeysFault(err error) bool {
	var fault *keysFault
	return errors.As(err, &fault)
}
