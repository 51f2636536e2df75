package issuer

import (
	"context"
	"errors"

	"github.com/caddy-m2m/caddy-m2m/internal/assertion"
	"github.com/caddy-m2m/caddy-m2m/internal/exchange"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// beginTokenExchange begins a token exchange (RFC 8693 §2.1): a client presents a token, and gets one that is about the same
// client and has no more than the presented one. The presenter authenticates, so that a thief of a token cannot trade it in. Without
// that, only a token of a trusted issuer is accepted, which then authenticates the client that it stands for.
func (t *tokenRequest) beginTokenExchange(ctx context.Context) *oauth.Error {
	t.id = token.NewID()
	if err := checkExchange(t.oauth.Exchange); err != nil {
		return err
	}
	isOwn := t.isOwn(t.oauth.Exchange.SubjectToken)
	if t.oauth.Credentials.Method == "" && !isOwn {
		return t.exchangeIdentity(ctx)
	}
	if err := t.authenticate(ctx, t.oauth.Credentials, t.fault); err != nil || isOwn {
		return err // the tokens of this issuer are verified when it is the client's turn
	}
	return t.readIdentity(ctx)
}

// isOwn reports whether a token of an exchange is to be verified as one of this issuer. Nothing of it is verified yet.
func (t *tokenRequest) isOwn(raw string) bool {
	opened, err := assertion.Open(raw)
	return err != nil || opened.Issuer() == t.issuer.URL || t.issuer.issuerOf(opened) == nil
}

// exchangeIdentity authenticates a client by the subject token, which a trusted issuer has issued. That is how clients of the
// workload identities of a cloud ask for tokens.
func (t *tokenRequest) exchangeIdentity(ctx context.Context) *oauth.Error {
	id := t.oauth.Credentials.ClientID
	a, err := t.identify(ctx, presented{raw: t.oauth.Exchange.SubjectToken, clientID: id, types: typesOfSubjects})
	if err != nil {
		return t.asBadToken(err, t.refuseIdentity(ctx, id, err, t.fault))
	}
	if err := t.accept(a); err != nil {
		return err
	}
	t.subject = a.party()
	t.exchange = &tokenExchange{subject: exchange.OfSelf(a.client.ID, a.identity.Expires)}
	return nil
}

// readIdentity finds the client that the subject token of a trusted issuer stands for, which another client presents.
func (t *tokenRequest) readIdentity(ctx context.Context) *oauth.Error {
	a, err := t.identify(ctx, presented{raw: t.oauth.Exchange.SubjectToken, types: typesOfSubjects, besides: true})
	var refusal *registry.Refusal
	switch {
	case errors.As(err, &refusal):
		return t.badToken(subjectToken, refusal.Reason)
	case err != nil:
		return t.refuseIdentity(ctx, "", err, t.fault)
	}
	t.subject = a.party()
	t.exchange = &tokenExchange{subject: exchange.OfClient(a.client.ID, a.client.Grants, a.client.Audiences, a.identity.Expires), ttl: a.client.TokenTTL}
	if a.client.ID == t.client.ID {
		t.exchange.subject = exchange.OfSelf(a.client.ID, a.identity.Expires)
	}
	return nil
}

// typesOfSubjects are the values of typ of a subject token of a trusted issuer.
var typesOfSubjects = []string{"", "JWT", token.AccessTokenType, assertion.GrantType}

// asBadToken turns the refusal of a client into that of its subject token (RFC 8693 §2.2.2).
func (t *tokenRequest) asBadToken(cause error, refused *oauth.Error) *oauth.Error {
	if refused.Code == oauth.CodeInvalidClient && !errors.Is(cause, errNotTaken) {
		return t.badToken(subjectToken, "")
	}
	return refused
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
