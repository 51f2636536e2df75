package issuer

import (
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// readCommonScopes finds the scopes of an exchange that names none: those that the subject has and the client may have.
func (t *tokenRequest) readCommonScopes() *oauth.Error {
	common, err := t.exchange.subject.Common(t.client.Grants, MaxScopes)
	switch {
	case err != nil:
		return t.invalidScope("scope is missing, and the subject and the client have too many scopes in common; name some")
	case len(common) == 0:
		return t.invalidScope("scope is missing, and the subject token has none")
	}
	t.requested = common
	return nil
}

// isOfSubject reports whether the subject of an exchange has a scope, and an audience of it. Other requests have no such bound.
func (t *tokenRequest) isOfSubject(s scope.Scope) bool {
	switch {
	case t.exchange == nil:
		return true
	case !t.exchange.subject.Covers(s):
		return false
	case s.Resource != scope.Any:
		return t.exchange.subject.HasAudience(t.resourceAudience(s.Resource))
	}
	return slices.ContainsFunc(t.every, t.exchange.subject.HasAudience)
}

// mayHaveOfSubject reports whether the token may have a scope that is granted: the subject has it, or the policy goes beyond the subject.
func (t *tokenRequest) mayHaveOfSubject(s scope.Scope, beyond []policy.Widening) bool {
	return t.isOfSubject(s) || isWidened(s, beyond)
}

func isWidened(s scope.Scope, beyond []policy.Widening) bool {
	return slices.ContainsFunc(beyond, func(w policy.Widening) bool { return w.Scope == s.Raw })
}

// widenings returns those of a decision that give the token something: of a scope that is granted and that the subject does not
// have.
func (t *tokenRequest) widenings(decided policy.TokenDecision) (used []policy.Widening) {
	if t.exchange == nil || len(decided.BeyondSubject) == 0 {
		return nil
	}
	for _, s := range t.requested {
		at := slices.IndexFunc(decided.BeyondSubject, func(w policy.Widening) bool { return w.Scope == s.Raw })
		if at >= 0 && slices.Contains(decided.Granted, s.Raw) && !t.isOfSubject(s) {
			used = append(used, decided.BeyondSubject[at])
		}
	}
	return used
}

// everyOfSubject returns the audiences of a granted scope on every resource.
func (t *tokenRequest) everyOfSubject(s scope.Scope) []string {
	if t.exchange == nil || isWidened(s, t.decision.BeyondSubject) {
		return t.every
	}
	return slices.DeleteFunc(slices.Clone(t.every), func(a string) bool { return !t.exchange.subject.HasAudience(a) })
}

// The methods below are those of every token request; x is nil without an exchange.

// claim returns the act claim of the new token (RFC 8693 §4.1), nil if there is none.
func (x *tokenExchange) claim() map[string]any {
	if x == nil {
		return nil
	}
	return x.actor.Claim()
}

// client returns the client that the new token is about, "" for the client that asks.
func (x *tokenExchange) client() string {
	if x == nil {
		return ""
	}
	return x.subject.Client
}

// within bounds a lifetime.
func (x *tokenExchange) within(ttl time.Duration, now time.Time) time.Duration {
	if x == nil {
		return ttl
	}
	if x.ttl > 0 {
		ttl = min(ttl, x.ttl)
	}
	return x.subject.TTL(ttl, now)
}
