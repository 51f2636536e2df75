package issuer

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// MaxScopes is how many scopes one request may ask for.
const MaxScopes = 100

// tokenRequest is one request at the token endpoint on its way to an answer.
type tokenRequest struct {
	issuer *Server
	http   *http.Request
	start  time.Time

	oauth     *oauth.TokenRequest
	client    *registry.Client
	requested []scope.Scope
	resources map[string]*registry.Resource
	audience  []string // what `resource` chose (RFC 8707); none: whatever the scopes need
	every     []string // what a scope on every resource gives, of the audiences that the token may have

	id       string            // names the decision in the log and in error bodies
	input    policy.TokenInput // what policy was asked, for the log
	decision policy.TokenDecision
}

// serveToken is the token endpoint (RFC 6749 §4.4).
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	t := &tokenRequest{issuer: s, http: r, start: time.Now()}
	parsed, oerr := parseInTime(w, r, oauth.ParseTokenRequest)
	if oerr == nil {
		t.oauth = parsed
		oerr = t.serve(w)
	}
	if oerr != nil {
		t.logRefusal(oerr)
		oerr.Write(w)
	}
	s.Metrics.TokenRequest(t.result(oerr), time.Since(t.start))
}

// serve takes the request through authentication, policy and minting, and writes the answer. An
// error that it returns is yet to be written.
func (t *tokenRequest) serve(w http.ResponseWriter) *oauth.Error {
	ctx := t.http.Context()
	for _, step := range []func(context.Context) *oauth.Error{t.authenticate, t.readScopes, t.readResources, t.readAudience, t.decide} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	answer, err := t.mint(ctx)
	if err != nil {
		return err
	}
	t.logDecision(answer.TokenID)
	answer.Write(w)
	return nil
}

// authenticate finds the client.
func (t *tokenRequest) authenticate(ctx context.Context) *oauth.Error {
	client, err := t.issuer.authenticate(ctx, t.oauth.ClientID, t.oauth.ClientSecret, t.start)
	switch {
	case err != nil:
		return t.fault("reading the registry", err)
	case client == nil:
		return oauth.InvalidClient()
	}
	t.client = client
	return nil
}

// readScopes reads the requested scopes, or has policy say what an omitted scope means
// (RFC 6749 §3.3).
func (t *tokenRequest) readScopes(ctx context.Context) *oauth.Error {
	t.id = token.NewID()
	list := t.oauth.Scope
	if list == "" {
		defaults, err := t.issuer.Policy.DefaultScopes(ctx, t.policyInput())
		if err != nil {
			return t.fault("deciding default scopes", err)
		}
		if list = strings.Join(defaults, " "); list == "" {
			return t.invalidScope("scope is missing")
		}
	}
	if credential.Contains(list) {
		return t.invalidScope("a token or a secret stands in a scope") // which the log would show
	}
	scopes, err := scope.ParseList(list, MaxScopes)
	if err != nil {
		if t.oauth.Scope == "" {
			return t.fault("deciding default scopes", err)
		}
		return t.invalidScope(err.Error())
	}
	if len(scopes) == 0 {
		return t.invalidScope("scope is missing")
	}
	t.requested = scopes
	return nil
}

func (t *tokenRequest) readResources(ctx context.Context) *oauth.Error {
	if err := t.findResources(ctx); err != nil {
		return t.fault("reading the registry", err)
	}
	return nil
}

// findResources finds the resources that the scopes name.
func (t *tokenRequest) findResources(ctx context.Context) error {
	t.resources = make(map[string]*registry.Resource)
	for _, s := range t.requested {
		if s.Resource == scope.Any || t.resources[s.Resource] != nil {
			continue
		}
		resource, err := t.issuer.Registry.Resource(ctx, s.Resource)
		if errors.Is(err, registry.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		t.resources[s.Resource] = resource
	}
	return nil
}

// decide has policy decide on the scopes that the token may have by their audience. Nothing granted
// is an error.
func (t *tokenRequest) decide(ctx context.Context) *oauth.Error {
	t.input = t.decisionInput()
	if len(t.input.Scopes) > 0 {
		decision, err := t.issuer.Policy.DecideToken(ctx, t.input)
		if err != nil {
			return t.fault("deciding", err)
		}
		t.decision = decision
		if len(decision.Observed) > 0 {
			t.issuer.Metrics.Observed()
		}
	}
	t.hold()
	if len(t.decision.Granted) > 0 {
		return nil
	}
	t.logDecision("")
	err := t.invalidScope("none of the requested scopes is granted")
	rejected := t.rejectedScope()
	err.RejectedScope = &rejected
	return err
}

// decisionInput is what policy is asked: of the scopes only those that it may decide on.
func (t *tokenRequest) decisionInput() policy.TokenInput {
	input := t.policyInput()
	input.Scopes = slices.DeleteFunc(slices.Clone(t.requested), func(s scope.Scope) bool {
		return !t.isForPolicy(s)
	})
	return input
}

// hold keeps policy's decision within what it may not break.
func (t *tokenRequest) hold() {
	t.holdAudience()
	t.decision.Rejected = t.allRejected()
}

// allRejected is what policy rejected and what the token may not have by its audience, in request
// order.
func (t *tokenRequest) allRejected() []policy.Rejection {
	reasons := make(map[string]string, len(t.decision.Rejected))
	for _, r := range t.decision.Rejected {
		reasons[r.Scope] = r.Reason
	}
	var all []policy.Rejection
	for _, s := range t.requested {
		if reason, rejected := reasons[s.Raw]; rejected {
			all = append(all, policy.Rejection{Scope: s.Raw, Reason: reason})
		} else if !slices.Contains(t.decision.Granted, s.Raw) {
			all = append(all, policy.Rejection{Scope: s.Raw, Reason: reasonOtherAudience})
		}
	}
	return all
}

func (t *tokenRequest) rejectedScope() string {
	raw := make([]string, len(t.decision.Rejected))
	for n, r := range t.decision.Rejected {
		raw[n] = r.Scope
	}
	return strings.Join(raw, " ")
}

func (t *tokenRequest) invalidScope(description string) *oauth.Error {
	return t.named(oauth.InvalidScope(description))
}

// fault is our failure, not the caller's: it is logged with its cause, and answered without it.
func (t *tokenRequest) fault(doing string, err error) *oauth.Error {
	t.issuer.Metrics.Failed(err)
	t.issuer.Logger.Log(faultLevel(t.http, err), doing+" failed, no token is issued",
		zap.String("decision_id", t.id), zap.String("client_id", t.clientID()), zap.Error(err))
	return t.named(oauth.Unavailable("no decision can be made now"))
}

// named adds the decision's ID to an error, so that its log line can be found.
func (t *tokenRequest) named(err *oauth.Error) *oauth.Error {
	err.DecisionID = t.id
	return err
}

// clientID is the client's ID once it is authenticated; a stranger's word is not repeated.
func (t *tokenRequest) clientID() string {
	if t.client == nil {
		return ""
	}
	return t.client.ID
}
