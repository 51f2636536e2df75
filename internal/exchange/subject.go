// Package exchange says what a token exchange (RFC 8693) may give: nothing that the subject token does not have, unless a rule of
// the policy says so, and never for longer. A Subject is made by OfToken or OfClient. The package does not verify tokens.
package exchange

import (
	"errors"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// Subject is what a subject token stands for. It bounds the token that is exchanged for it.
type Subject struct {
	// Client is the client that the token is about, the sub of the new token.
	Client string

	itself   bool // has no bound of scopes
	scopes   []scope.Scope
	grants   *scope.Index // in the place of scopes
	allowed  []scope.Scope
	audience []string // empty if it bounds nothing
	expires  time.Time
	actor    *Actor
}

// OfToken returns the subject of a verified access token of this issuer. It fails for an act claim that this program did not
// write.
func OfToken(claims *token.Claims) (*Subject, error) {
	actor, err := readActor(claims.All)
	if err != nil {
		return nil, err
	}
	return &Subject{
		Client: claims.Subject, scopes: claims.Scopes, allowed: claims.Scopes,
		audience: claims.Audience, expires: claims.Expires, actor: actor,
	}, nil
}

// OfClient returns the subject of a verified token of another issuer, which the policy has mapped to a client. The token says
// who the client is, and the registry what the client may have. Empty audiences are all.
func OfClient(id string, grants []scope.Grant, audiences []string, expires time.Time) *Subject {
	return &Subject{
		Client: id, grants: scope.NewIndex(grants), allowed: allowedBy(grants), audience: audiences, expires: expires,
	}
}

// OfSelf returns the subject of a verified token of another issuer that authenticates its client, which so asks for itself. Only the
// end of the token is a bound.
func OfSelf(id string, expires time.Time) *Subject {
	return &Subject{Client: id, itself: true, expires: expires}
}

func allowedBy(grants []scope.Grant) (scopes []scope.Scope) {
	for _, g := range grants {
		if g.Deny {
			continue
		}
		for _, id := range g.Identifiers {
			for _, action := range g.Actions {
				s := scope.Scope{Resource: g.Resource, Identifier: id, Action: action}
				s.Raw = s.String()
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
}

// Covers reports whether the subject has all of a scope.
func (s *Subject) Covers(asked scope.Scope) bool {
	if s.itself {
		return true
	}
	if s.grants != nil {
		return s.grants.Covers(asked) && !s.grants.Denies(asked)
	}
	return slices.ContainsFunc(s.scopes, func(has scope.Scope) bool { return has.Covers(asked) })
}

// HasAudience reports whether the subject has an audience. A scope on every resource means more with another audience.
func (s *Subject) HasAudience(audience string) bool {
	return len(s.audience) == 0 || uri.Contains(s.audience, audience)
}

// TTL returns the lifetime of a token that is issued now: ttl, but not beyond the end of the subject token. It is 0 or less if
// no whole second is left.
func (s *Subject) TTL(ttl time.Duration, now time.Time) time.Duration {
	left := s.expires.Unix() - now.Unix() // exp and iat are whole seconds
	return min(ttl, time.Duration(left)*time.Second)
}

// ErrTooMany is the error of Common for more scopes than the limit.
var ErrTooMany = errors.New("too many scopes")

// Common returns what a request without a scope asks for: the scopes of the subject, and of those that the grants do not cover
// also the parts that they do cover. It fails with ErrTooMany beyond limit scopes.
func (s *Subject) Common(grants []scope.Grant, limit int) (common []scope.Scope, err error) {
	index, allowed := scope.NewIndex(grants), allowedBy(grants)
	seen := make(map[string]bool)
	add := func(one scope.Scope) error {
		if seen[one.String()] {
			return nil
		}
		if len(common) == limit {
			return ErrTooMany
		}
		seen[one.String()] = true
		common = append(common, one)
		return nil
	}
	for _, has := range s.allowed {
		if err := add(has); err != nil {
			return nil, err
		}
		if index.Covers(has) {
			continue
		}
		for _, grant := range allowed {
			if part, ok := has.Intersect(grant); ok {
				if err := add(part); err != nil {
					return nil, err
				}
			}
		}
	}
	return common, nil
}
