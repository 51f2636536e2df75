package issuer

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// explaining is an explanation in the making. It decides the token request as usual, but logs and counts nothing.
type explaining struct {
	*tokenRequest
	*api.Explanation
	asked     api.ExplainRequest
	explained map[string]policy.ScopeExplanation // by scope; at first malformed and default scopes, then the policy's
	token     *token.Claims
}

// Explain explains the answer to a token request at asked.Time, and returns the claims of the token that would be issued,
// nil if there is none. It fails with registry.ErrNotFound for an unknown client, and as the registry does.
func (s *Server) Explain(ctx context.Context, asked api.ExplainRequest) (*api.Explanation, *token.Claims, error) {
	if asked.Assertion != "" {
		return s.explainAssertion(ctx, asked)
	}
	client, err := s.Registry.Client(ctx, asked.Client)
	if err != nil {
		return nil, nil, err
	}
	return s.explaining(ctx, asked, authenticated{client: client, method: cmp.Or(asked.AuthMethod, oauth.ClientSecretBasic)}).explain(ctx)
}

// explaining begins the explanation of a request of a client.
func (s *Server) explaining(ctx context.Context, asked api.ExplainRequest, a authenticated) *explaining {
	return &explaining{
		asked: asked, explained: make(map[string]policy.ScopeExplanation),
		Explanation: &api.Explanation{
			Issuer: s.URL, Refusals: []api.Refusal{}, Notes: []string{}, Scopes: []policy.ScopeExplanation{},
			Audience: []string{}, Claims: []policy.ValueExplanation{}, Caching: []policy.Caching{},
			PolicyRevision: s.Policy.Revision(), RegistryRevision: s.Registry.Revision(),
		},
		tokenRequest: &tokenRequest{
			call: call{
				issuer: s, start: asked.Time,
				authenticated: a,
				http:          (&http.Request{RemoteAddr: net.JoinHostPort(asked.RemoteIP, "0")}).WithContext(ctx),
			},
			oauth: &oauth.TokenRequest{Resources: asked.Audience},
		},
	}
}

// explain explains what the client would get.
func (e *explaining) explain(ctx context.Context) (*api.Explanation, *token.Claims, error) {
	e.Client = e.client.ID
	e.explainClient()
	for _, step := range []func(context.Context) error{e.explainExchange, e.explainScopes, e.findResources, e.explainAudience, e.explainDecision, e.explainVerdicts} {
		if err := step(ctx); err != nil {
			return nil, nil, err
		}
	}
	e.explainToken()
	e.explainBinding()
	e.explainCaching()
	e.Passes = len(e.Refusals) == 0 && len(e.decision.Granted) == len(e.asked.Scopes)
	return e.Explanation, e.token, nil
}

// explainBinding says to what keys the client's tokens are always bound.
func (e *explaining) explainBinding() {
	if e.client.DPoPBound {
		e.BoundTo = append(e.BoundTo, "dpop")
	}
	if e.client.CertificateBound {
		e.BoundTo = append(e.BoundTo, "mtls")
	}
}

func (e *explaining) refuse(reason, format string, args ...any) {
	e.Refusals = append(e.Refusals, api.Refusal{Reason: reason, Description: fmt.Sprintf(format, args...)})
}

func (e *explaining) note(format string, args ...any) {
	e.Notes = append(e.Notes, fmt.Sprintf(format, args...))
}

// explainClient says what keeps the client from authenticating.
func (e *explaining) explainClient() {
	if e.client.Disabled {
		e.refuse("client_disabled", "the client is disabled")
	}
	if !e.client.Expires.IsZero() && !e.start.Before(e.client.Expires) {
		e.refuse("client_expired", "the client expired at %s", e.client.Expires.UTC().Format(time.RFC3339))
	}
	hasSecret := slices.ContainsFunc(e.client.Secrets, func(s registry.Secret) bool { return s.Live(e.start) })
	hasOther := slices.ContainsFunc(registry.Methods, func(m string) bool {
		return m != registry.ClientSecret && e.client.Allows(m) && e.client.CredentialsFor(m)
	})
	if e.identity == nil && !hasOther && !(hasSecret && e.client.Allows(registry.ClientSecret)) {
		e.note("the client has no secret that works and no other credential, and so cannot authenticate")
	}
	if len(e.client.Networks) > 0 && e.asked.RemoteIP == "" {
		e.note("the client has networks, and no remote address is given: to the policy it is unknown")
	}
}

// explainScopes reads the scopes, or asks the policy for defaults if there are none.
func (e *explaining) explainScopes(ctx context.Context) error {
	raws := e.asked.Scopes
	if len(raws) == 0 && e.exchange != nil {
		if raws = e.commonScopes(); len(raws) == 0 {
			return nil
		}
	}
	if len(raws) == 0 {
		e.DefaultScopes = true
		defaults, err := e.issuer.Policy.ExplainDefaultScopes(ctx, e.policyInput())
		if err != nil {
			return e.noDecision(ctx, err)
		}
		for _, d := range defaults {
			raws = append(raws, d.Name)
			e.explained[d.Name] = policy.ScopeExplanation{Scope: d.Name, Causes: d.Causes}
		}
		if len(raws) == 0 {
			e.refuse("scope_missing", "no scope is asked for, and the policy has no default")
		}
	}
	e.asked.Scopes = nil
	for _, raw := range raws {
		if slices.Contains(e.asked.Scopes, raw) {
			continue
		}
		e.asked.Scopes = append(e.asked.Scopes, raw)
		s, err := scope.Parse(raw)
		if err != nil {
			e.refuse("malformed_scope", "the scope %q is malformed: %v", raw, err)
			e.explained[raw] = policy.ScopeExplanation{Scope: raw, Reason: "malformed: " + err.Error()}
			continue
		}
		e.requested = append(e.requested, s)
	}
	return nil
}

// explainAudience chooses the audience that the token may have. If the requested one is refused, the scopes are decided as
// if there were no such request.
func (e *explaining) explainAudience(ctx context.Context) error {
	refused, err := e.chooseAudience(ctx)
	if refused != nil {
		e.refuse(refused.Code, "%s", refused.Description)
		e.oauth.Resources = nil
		_, err = e.chooseAudience(ctx)
	}
	return err
}

// explainDecision asks the policy, if there is a scope that it may decide on.
func (e *explaining) explainDecision(ctx context.Context) error {
	input := e.policyInput()
	if len(input.Scopes) == 0 {
		e.decision = e.verdict(policy.TokenDecision{})
		return nil
	}
	decided, err := e.issuer.Policy.ExplainToken(ctx, input, e.asked.Trace)
	e.Trace = decided.Trace
	if err != nil {
		return e.noDecision(ctx, err)
	}
	for _, s := range decided.Scopes {
		s.Causes = append(e.explained[s.Scope].Causes, s.Causes...)
		e.explained[s.Scope] = s
	}
	e.Claims, e.PolicyRevision = decided.Claims, decided.Decision.Revision
	e.decision = e.verdict(decided.Decision)
	e.explainTTL(decided.TTL)
	return nil
}

// noDecision records that the policy failed, unless the context has ended.
func (e *explaining) noDecision(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	e.refuse("no_decision", "%v", err)
	return nil
}

// explainCaching says whether the decisions that were explained are cached.
func (e *explaining) explainCaching() {
	for _, u := range e.issuer.Policy.Cache().Uses {
		if u.Kind == policy.TokenKind || u.Kind == policy.DefaultScopesKind && e.DefaultScopes {
			e.Caching = append(e.Caching, u.Caching)
		}
	}
}
