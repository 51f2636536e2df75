package issuer

import (
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

// Explaining is an explanation in the making. The token request is decided as others are, and nothing
// of it is logged, counted or noted.
type Explaining struct {
	*tokenRequest
	asked       api.ExplainRequest
	Explanation *api.Explanation
	// explained has what policy says of scopes, and before that what the program says.
	explained map[string]policy.ScopeExplanation
	Token     *token.Claims // of the token that would be issued, if there is one
}

// Explain says what a token request would be answered. An unknown client is registry.ErrNotFound; other
// errors are the registry's.
func (s *Server) Explain(ctx context.Context, asked api.ExplainRequest) (*Explaining, error) {
	client, err := s.Registry.Client(ctx, asked.Client)
	if err != nil {
		return nil, err
	}
	e := &Explaining{
		asked: asked, explained: make(map[string]policy.ScopeExplanation),
		Explanation: &api.Explanation{
			Issuer: s.URL, Client: client.ID, Refusals: []api.Refusal{}, Notes: []string{}, Scopes: []policy.ScopeExplanation{},
			Audience: []string{}, Claims: []policy.ValueExplanation{},
			PolicyRevision: s.Policy.Revision(), RegistryRevision: s.Registry.Revision(),
		},
		tokenRequest: &tokenRequest{
			issuer: s, client: client, start: asked.Time,
			http:  (&http.Request{RemoteAddr: net.JoinHostPort(asked.RemoteIP, "0")}).WithContext(ctx),
			oauth: &oauth.TokenRequest{ClientID: client.ID, Resources: asked.Audience, AuthMethod: asked.AuthMethod},
		},
	}
	if e.start.IsZero() {
		e.start = time.Now()
	}
	if e.oauth.AuthMethod == "" {
		e.oauth.AuthMethod = oauth.ClientSecretBasic
	}
	e.explainClient()
	for _, step := range []func(context.Context) error{e.explainScopes, e.findResources, e.explainAudience, e.explainDecision, e.explainVerdicts} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	e.explainToken()
	e.Explanation.Passes = len(e.Explanation.Refusals) == 0 && len(e.decision.Granted) == len(e.asked.Scopes)
	return e, nil
}

// Time returns the moment that the explanation is about.
func (e *Explaining) Time() time.Time { return e.start }

func (e *Explaining) refuse(reason, format string, args ...any) {
	e.Explanation.Refusals = append(e.Explanation.Refusals, api.Refusal{Reason: reason, Description: fmt.Sprintf(format, args...)})
}

func (e *Explaining) note(format string, args ...any) {
	e.Explanation.Notes = append(e.Explanation.Notes, fmt.Sprintf(format, args...))
}

// explainClient is about what keeps the client from authenticating.
func (e *Explaining) explainClient() {
	if e.client.Disabled {
		e.refuse("client_disabled", "the client is disabled")
	}
	if !e.client.Expires.IsZero() && !e.start.Before(e.client.Expires) {
		e.refuse("client_expired", "the client expired at %s", e.client.Expires.UTC().Format(time.RFC3339))
	}
	if !slices.ContainsFunc(e.client.Secrets, func(s registry.Secret) bool { return s.Live(e.start) }) {
		e.note("the client has no secret that works, and so cannot authenticate")
	}
	if len(e.client.Networks) > 0 && e.asked.RemoteIP == "" {
		e.note("the client has networks, and no remote address is given: to the policy it is unknown")
	}
}

// explainScopes reads the scopes, or has policy say what none means.
func (e *Explaining) explainScopes(ctx context.Context) error {
	raws := e.asked.Scopes
	if len(raws) == 0 {
		e.Explanation.DefaultScopes = true
		defaults, err := e.issuer.Policy.ExplainDefaultScopes(ctx, e.input())
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

// explainAudience chooses what audience the token may have. One that cannot be chosen is refused, and
// the scopes are decided as if it were not asked for.
func (e *Explaining) explainAudience(ctx context.Context) error {
	refused, err := e.chooseAudience(ctx)
	if refused != nil {
		e.refuse(refused.Code, "%s", refused.Description)
		e.oauth.Resources = nil
		_, err = e.chooseAudience(ctx)
	}
	return err
}

// input is what policy is asked, at the time that is asked about.
func (e *Explaining) input() policy.TokenInput {
	input := e.decisionInput()
	input.Time = e.start
	return input
}

// explainDecision has policy decide, if there is anything for it to decide on.
func (e *Explaining) explainDecision(ctx context.Context) error {
	if input := e.input(); len(input.Scopes) > 0 {
		decided, err := e.issuer.Policy.ExplainToken(ctx, input, e.asked.Trace)
		e.Explanation.Trace = decided.Trace
		if err != nil {
			return e.noDecision(ctx, err)
		}
		e.decision = decided.Decision
		for _, s := range decided.Scopes {
			s.Causes = append(e.explained[s.Scope].Causes, s.Causes...)
			e.explained[s.Scope] = s
		}
		e.Explanation.Claims, e.Explanation.PolicyRevision = decided.Claims, decided.Decision.Revision
		e.explainTTL(decided.TTL)
	}
	e.hold()
	return nil
}

// noDecision is a policy that fails, which is worth explaining most of all.
func (e *Explaining) noDecision(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	e.refuse("no_decision", "%v", err)
	return nil
}
