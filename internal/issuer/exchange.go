package issuer

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/exchange"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// tokenExchange is what a token exchange adds to a token request.
type tokenExchange struct {
	subject *exchange.Subject
	actor   *exchange.Actor // of the new token, nil if the subject itself acts
	ttl     time.Duration   // of the tokens of the subject's client, 0 if it has none of its own
}

// The tokens of an exchange, as descriptions name them.
const (
	subjectToken = "subject token"
	actorToken   = "actor token"
)

// readExchange verifies those tokens of an exchange that this issuer has issued. The others were verified before it was the turn of
// the client, because that may need the keys of their issuers.
func (t *tokenRequest) readExchange(ctx context.Context) *oauth.Error {
	if t.oauth.GrantType != oauth.GrantTokenExchange {
		return nil
	}
	if t.exchange == nil {
		if refused := t.readSubject(ctx); refused != nil {
			return refused
		}
	}
	if t.exchange.subject.TTL(time.Hour, t.start) <= 0 { // the leeway is for iat, because the clocks of nodes differ
		return t.badToken(subjectToken, string(token.Expired))
	}
	if refused := t.readActor(ctx); refused != nil {
		return refused
	}
	acts := t.client.ID
	if t.actor != nil {
		acts = t.actor.ClientID
	}
	var err error
	if t.exchange.actor, err = t.exchange.subject.By(t.client.ID, acts); err != nil {
		return t.badToken(subjectToken, "too_many_actors")
	}
	return nil
}

// readSubject verifies the subject token.
func (t *tokenRequest) readSubject(ctx context.Context) *oauth.Error {
	claims, refused := t.ownToken(ctx, t.oauth.Exchange.SubjectToken, subjectToken)
	if refused != nil {
		return refused
	}
	subject, err := exchange.OfToken(claims)
	if err != nil {
		return t.badToken(subjectToken, string(token.BadClaims))
	}
	t.subject, t.exchange = ownParty(claims), &tokenExchange{subject: subject}
	return nil
}

// readActor verifies the actor token, if there is one. It stands for the client that it was issued to, so it must not come from an
// exchange.
func (t *tokenRequest) readActor(ctx context.Context) *oauth.Error {
	raw := t.oauth.Exchange.ActorToken
	if raw == "" {
		return nil
	}
	claims, refused := t.ownToken(ctx, raw, actorToken)
	switch {
	case refused != nil:
		return refused
	case claims.Subject != claims.ClientID || claims.All["act"] != nil:
		return t.badToken(actorToken, "exchanged")
	}
	t.actor = ownParty(claims)
	return nil
}

// ownParty returns what policies see of a token of this issuer. It stands for the client that it is about; the claim client_id is that of
// the last exchange.
func ownParty(claims *token.Claims) *policy.Party {
	return &policy.Party{
		Issuer: claims.Issuer, Subject: claims.Subject, ClientID: claims.Subject, Scopes: claims.Scopes, Claims: claims.All, Type: registry.TypeJWT,
	}
}

// ownToken verifies a token of this issuer as introspection does. Its clients must exist and not be disabled.
func (t *tokenRequest) ownToken(ctx context.Context, raw, what string) (*token.Claims, *oauth.Error) {
	claims, err := t.ownClaims(ctx, raw, token.Expect{Leeway: token.DefaultLeeway, Bound: true})
	switch {
	case token.ErrorReason(err) != "":
		return nil, t.badToken(what, string(token.ErrorReason(err)))
	case err != nil:
		return nil, t.fault("verifying a token to exchange", err)
	case !t.proves(claims.Confirmation()):
		return nil, t.badToken(what, string(token.SenderConstrained))
	case !t.start.Before(claims.Expires):
		return nil, t.badToken(what, string(token.Expired))
	}
	revoked, err := t.issuer.isRevoked(ctx, claims)
	if err == nil && !revoked {
		err = t.issuer.Revocations.Complete()
	}
	switch {
	case revoked:
		return nil, t.badToken(what, string(token.Revoked))
	case err != nil:
		return nil, t.fault("verifying a token to exchange", err)
	}
	for _, id := range []string{claims.Subject, claims.ClientID} {
		if refused := t.checkOpen(ctx, id, what); refused != nil {
			return nil, refused
		}
	}
	return claims, nil
}

// proves reports whether the presenter has proved that it holds the keys to which a token is bound. The new token is bound to the
// same keys then, because it would otherwise be worth more to a thief.
func (t *tokenRequest) proves(bound token.Confirmation) bool {
	return (bound.JKT == "" || bound.JKT == t.confirmation.JKT) && (bound.X5TS256 == "" || bound.X5TS256 == t.confirmation.X5TS256)
}

// checkOpen refuses a token of a client that is not in the registry any more, is disabled or has expired.
func (t *tokenRequest) checkOpen(ctx context.Context, id, what string) *oauth.Error {
	if id == t.client.ID {
		return nil // it has authenticated
	}
	client, err := t.issuer.Registry.Client(ctx, id)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return t.badToken(what, registry.UnknownClient)
	case err != nil:
		return t.fault("reading the registry", err)
	case client.Disabled:
		return t.badToken(what, registry.ClientDisabled)
	case !client.Expires.IsZero() && !t.start.Before(client.Expires):
		return t.badToken(what, registry.ClientExpired)
	}
	return nil
}

// badToken refuses a token of an exchange (RFC 8693 §2.2.2). The answer does not say why: the presenter may hold a token that it
// must not introspect. The log does.
func (t *tokenRequest) badToken(what, reason string) *oauth.Error {
	t.why = reason
	return t.withID(oauth.InvalidRequest("the " + what + " is not valid here, has expired or was revoked"))
}
