package issuer

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// beginTokenExchange begins a token exchange (RFC 8693 §2.1): a client presents a token, and gets one that is about the same
// client and has no more than the presented one. The presenter authenticates, so that a thief of a token cannot trade it in.
func (t *tokenRequest) beginTokenExchange(ctx context.Context) *oauth.Error {
	if err := checkExchange(t.oauth.Exchange); err != nil {
		return err
	}
	return t.authenticate(ctx, t.oauth.Credentials, t.fault)
}

// checkExchange refuses types of tokens that are not supported (RFC 8693 §2.2.2).
func checkExchange(e oauth.Exchange) *oauth.Error {
	switch {
	case !isJWTType(e.SubjectTokenType):
		return oauth.InvalidRequest("the subject_token_type is not supported")
	case e.ActorToken != "" && !isJWTType(e.ActorTokenType):
		return oauth.InvalidRequest("the actor_token_type is not supported")
	case e.RequestedTokenType != "" && e.RequestedTokenType != oauth.TokenTypeAccessToken && e.RequestedTokenType != oauth.TokenTypeJWT:
		return oauth.InvalidRequest("the requested_token_type is not supported")
	}
	return nil
}

// isJWTType reports whether tokens of a type are JWTs that this issuer can verify.
func isJWTType(typ string) bool {
	switch typ {
	case oauth.TokenTypeAccessToken, oauth.TokenTypeJWT, oauth.TokenTypeIDToken:
		return true
	}
	return false
}

// issuedTokenType returns the issued_token_type of the answer (RFC 8693 §2.2.1), "" for other grants. An access token of this
// issuer is a JWT, and so either type is true of it.
func (t *tokenRequest) issuedTokenType() string {
	switch {
	case t.exchange == nil:
		return ""
	case t.oauth.Exchange.RequestedTokenType != "":
		return t.oauth.Exchange.RequestedTokenType
	}
	return oauth.TokenTypeAccessToken
}
