package issuer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// explainVerdicts explains the verdict on each scope.
func (e *explaining) explainVerdicts(ctx context.Context) error {
	known, err := e.issuer.Registry.Resources(ctx)
	if err != nil {
		return err
	}
	for _, raw := range e.asked.Scopes {
		v := e.explained[raw]
		if at := slices.IndexFunc(e.requested, func(s scope.Scope) bool { return s.Raw == raw }); at >= 0 {
			v = e.explainVerdict(e.requested[at], v, known)
		}
		v.Causes, v.Notes = api.OrEmpty(v.Causes), api.OrEmpty(v.Notes)
		e.Scopes = append(e.Scopes, v)
	}
	return nil
}

// explainVerdict completes the explanation of a well-formed scope.
func (e *explaining) explainVerdict(s scope.Scope, v policy.ScopeExplanation, known []*registry.Resource) policy.ScopeExplanation {
	v.Scope, v.Granted, v.Reason = s.Raw, slices.Contains(e.decision.Granted, s.Raw), ""
	if at := slices.IndexFunc(e.decision.Rejected, func(r policy.Rejection) bool { return r.Scope == s.Raw }); at >= 0 {
		v.Reason = e.decision.Rejected[at].Reason
	} else if !v.Granted {
		v.Reason = "no decision"
	}
	if s.Resource != scope.Any && e.resources[s.Resource] == nil {
		v.Notes = append(v.Notes, unknownResource(s.Resource, known))
	}
	if v.Reason == reasonBeyondSubject {
		v.Notes = append(v.Notes, "the subject token does not have it, and no rule beyond_subject lets the exchange give it")
	}
	if v.Reason == reasonOtherAudience {
		v.Notes = append(v.Notes, e.audienceNote(s))
	}
	return v
}

func unknownResource(code string, known []*registry.Resource) string {
	note := "there is no resource " + code
	near := suggest.Nearest(code, func(yield func(string) bool) {
		for _, r := range known {
			if !yield(r.Code) {
				return
			}
		}
	})
	if near != "" {
		note += fmt.Sprintf("; did you mean %q?", near)
	}
	return note
}

// audienceNote says why the token may not have a scope's audience.
func (e *explaining) audienceNote(s scope.Scope) string {
	audience := e.resourceAudience(s.Resource)
	switch {
	case s.Resource == scope.Any:
		return "the client may not have any of the issuer's audiences"
	case !isWithin(e.client.Audiences, audience):
		return fmt.Sprintf("its audience %s is not one of the client's", audience)
	}
	return fmt.Sprintf("its audience %s was not requested", audience)
}

// explainTTL explains what sets the lifetime.
func (e *explaining) explainTTL(causes []policy.Cause) {
	ttl := e.ttl()
	e.TTL = &api.TTL{Seconds: int64(ttl / time.Second), From: "issuer", Causes: []policy.Cause{}}
	switch {
	case e.exchange.bounds(ttl, e.start):
		e.TTL.From = "subject"
	case ttl == e.decision.TTL:
		e.TTL.From, e.TTL.Causes = "policy", causes
	case ttl == e.client.TokenTTL:
		e.TTL.From = "client"
	}
}

// explainToken makes the claims of the token that would be issued, if a scope is granted.
func (e *explaining) explainToken() {
	if len(e.decision.Granted) == 0 {
		return
	}
	e.Audience = e.tokenAudience()
	data, err := e.claims(token.NewID())
	if err == nil {
		e.token, err = token.ReadMinted(data)
	}
	switch {
	case e.askedTooMuch(err):
		e.refuse("too_large", tooMuchAsked)
	case err != nil:
		e.refuse("unfit_claims", "%v", err)
	}
}
