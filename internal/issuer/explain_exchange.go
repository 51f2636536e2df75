package issuer

import (
	"context"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/exchange"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// explainExchange takes the claims of a subject token for those of a verified one.
func (e *explaining) explainExchange(ctx context.Context) error {
	if e.asked.Subject == nil {
		return nil
	}
	claims, err := token.ReadMinted(e.asked.Subject)
	if err != nil {
		e.refuse("bad_subject", "the subject token is not valid: %v", err)
		return nil
	}
	subject, err := exchange.OfToken(claims)
	switch {
	case claims.Issuer != e.issuer.URL:
		e.refuse("bad_subject", "the subject token is of another issuer, %s", claims.Issuer)
		return nil
	case err != nil:
		e.refuse("bad_subject", "the subject token is not valid: %v", err)
		return nil
	}
	e.oauth.GrantType, e.subject, e.exchange = oauth.GrantTokenExchange, ownParty(claims), &tokenExchange{subject: subject}
	if e.exchange.actor, err = subject.By(e.client.ID, e.client.ID); err != nil {
		e.refuse("bad_subject", "%v", err)
	}
	if subject.TTL(token.MaxTTL, e.start) <= 0 {
		e.refuse("bad_subject", "the subject token has expired")
	}
	for _, id := range []string{claims.Subject, claims.ClientID} {
		if refused := e.checkOpen(ctx, id, subjectToken); refused != nil {
			e.refuse("bad_subject", "the subject token is of the client %s: %s", id, e.why)
			break
		}
	}
	e.note("the token would be about %s; the claims of the subject token are taken as they are, and whether it was revoked is not looked at", subject.Client)
	return nil
}

// commonScopes returns the scopes of an exchange that names none.
func (e *explaining) commonScopes() (raws []string) {
	common, err := e.exchange.subject.Common(e.client.Grants, MaxScopes)
	if err != nil || len(common) == 0 {
		e.refuse("scope_missing", "no scope is asked for, and the subject and the client have none or too many in common")
		return nil
	}
	for _, s := range common {
		raws = append(raws, s.Raw)
	}
	return raws
}

// bounds reports whether the end of the subject token sets a lifetime.
func (x *tokenExchange) bounds(ttl time.Duration, now time.Time) bool {
	return x != nil && x.subject.TTL(token.MaxTTL, now) == ttl
}
