package caddymodule

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

// explainVerdicts says of each scope what policy says, within what that may not break.
func (e *explaining) explainVerdicts(ctx context.Context) error {
	known, err := e.issuer.registry.Resources(ctx)
	if err != nil {
		return err
	}
	for _, raw := range e.asked.Scopes {
		v := e.explained[raw]
		if at := slices.IndexFunc(e.requested, func(s scope.Scope) bool { return s.Raw == raw }); at >= 0 {
			v = e.verdict(e.requested[at], v, known)
		}
		v.Causes, v.Notes = orEmpty(v.Causes), orEmpty(v.Notes)
		e.told.Scopes = append(e.told.Scopes, v)
	}
	return nil
}

// verdict is about a scope that is well-formed.
func (e *explaining) verdict(s scope.Scope, v policy.ScopeExplanation, known []*registry.Resource) policy.ScopeExplanation {
	v.Scope, v.Granted, v.Reason = s.Raw, slices.Contains(e.decision.Granted, s.Raw), ""
	if at := slices.IndexFunc(e.decision.Rejected, func(r policy.Rejection) bool { return r.Scope == s.Raw }); at >= 0 {
		v.Reason = e.decision.Rejected[at].Reason
	} else if !v.Granted {
		v.Reason = "no decision"
	}
	if s.Resource != scope.Any && e.resources[s.Resource] == nil {
		v.Notes = append(v.Notes, unknownResource(s.Resource, known))
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
	audience := e.issuer.audienceOf(e.resources[s.Resource])
	switch {
	case s.Resource == scope.Any:
		return "the client may have none of the issuer's audiences"
	case !isWithin(e.client.Audiences, audience):
		return fmt.Sprintf("its audience %s is none of the client's", audience)
	}
	return fmt.Sprintf("its audience %s is none that was asked for", audience)
}

// explainTTL tells the lifetime, and who made it as short as it is.
func (e *explaining) explainTTL(causes []policy.Cause) {
	ttl := e.ttl()
	told := &api.TTL{Seconds: int64(ttl / time.Second), From: "issuer", Causes: []policy.Cause{}}
	switch ttl {
	case e.decision.TTL:
		told.From, told.Causes = "policy", causes
	case e.client.TokenTTL:
		told.From = "client"
	}
	e.told.TTL = told
}

// explainToken is about the token that would be issued, if any scope is granted.
func (e *explaining) explainToken() {
	if len(e.decision.Granted) == 0 {
		return
	}
	e.told.Audience = e.tokenAudience()
	data, err := e.claims(token.NewID())
	if err == nil {
		e.claimed, err = token.ReadMinted(data)
	}
	switch {
	case e.askedTooMuch(err):
		e.refuse("too_large", tooMuchAsked)
	case err != nil:
		e.refuse("unfit_claims", "%v", err)
	}
}
