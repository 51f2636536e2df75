package issuer

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
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
	call
	oauth     *oauth.TokenRequest
	requested []scope.Scope
	resources map[string]*policy.Resource // that the scopes name; those that the registry has
	audience  []string                    // what `resource` chose (RFC 8707); if empty, what the scopes need
	every     []string                    // the audiences of a scope on every resource, of those that the token may have

	subject      *policy.Party      // what policies see of the assertion of a trusted issuer or of the subject token, nil if there is none
	actor        *policy.Party      // what policies see of the actor token, nil if there is none
	exchange     *tokenExchange     // nil for other grants
	why          string             // a token of an exchange is refused, for the log
	proof        *dpop.Proof        // nil if there is none
	confirmation token.Confirmation // the keys that the token is bound to

	id        string            // of the decision, in the log and in error bodies
	input     policy.TokenInput // of the policy, for the log
	decision  policy.TokenDecision
	granted   string       // of grantedScope
	logFields [4]zap.Field // of the access log
	room      [1]string    // for tokenAudience, which is mostly one
	logged    bool         // whether the decision is in its log
}

// serveToken is the token endpoint (RFC 6749 §4.4).
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	t := &tokenRequest{call: call{issuer: s, http: r, start: time.Now()}}
	parsed, oerr := parseInTime(w, r, oauth.ParseTokenRequest)
	if oerr == nil {
		t.oauth, t.grantType = parsed, parsed.GrantType
		oerr = t.serve(w)
	}
	if oerr != nil {
		t.countUnusable(oerr)
		t.logRefusal(oerr)
		oerr.Write(w)
	}
	s.Metrics.TokenRequest(t.result(oerr), time.Since(t.start)-t.waited)
}

// serve takes the request through authentication, policy and minting, and writes the answer. The caller writes the
// error.
func (t *tokenRequest) serve(w http.ResponseWriter) *oauth.Error {
	ctx := t.http.Context()
	grant := t.issuer.grantOf(t.oauth.GrantType)
	if grant == nil {
		return oauth.UnsupportedGrantType()
	}
	if err := t.openProof(); err != nil {
		return err
	}
	if err := grant.begin(t, ctx); err != nil {
		return err
	}
	if err := t.admit(tokenEndpoint, admission.Full); err != nil {
		return err
	}
	defer t.pass.Leave()
	if t.id == "" {
		t.id = token.NewID()
	}
	for _, step := range []func(context.Context) *oauth.Error{t.bindToCertificate, t.prove, t.readExchange, t.readScopes, t.readRegistry, t.decide} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	answer, jti, err := t.mint(ctx)
	if err != nil {
		return err
	}
	t.issuer.Metrics.Issued(grant.label)
	t.logDecision(jti)
	t.pass.Leave() // before it waits for the client
	if t.proof != nil && t.proof.NextNonce != "" {
		w.Header().Set(dpop.NonceHeader, t.proof.NextNonce)
	}
	answer.Write(w)
	return nil
}

// readScopes reads the requested scopes, or asks the policy for defaults if there are none (RFC 6749 §3.3).
func (t *tokenRequest) readScopes(ctx context.Context) *oauth.Error {
	list := t.oauth.Scope
	if t.byDefault() && t.exchange != nil {
		return t.readCommonScopes()
	}
	if t.byDefault() {
		defaults, err := t.issuer.Policy.DefaultScopes(ctx, t.policyInput())
		if err != nil {
			return t.fault("deciding default scopes", err)
		}
		list = strings.Join(defaults, " ")
	}
	scopes, err := scope.ParseList(list, MaxScopes)
	switch tooMany := errors.Is(err, scope.ErrTooMany); {
	case !tooMany && credential.Contains(list): // which takes long for a long list
		return t.invalidScope("a token or a secret stands in a scope") // which the log would show
	case err != nil && t.byDefault():
		return t.fault("deciding default scopes", err)
	case err != nil:
		return t.invalidScope(err.Error())
	case len(scopes) == 0:
		return t.invalidScope("scope is missing")
	}
	t.requested = scopes
	return nil
}

// readRegistry reads what the registry says of the scopes and of the audience.
func (t *tokenRequest) readRegistry(ctx context.Context) *oauth.Error {
	var refused *oauth.Error
	err := t.findResources(ctx)
	if err == nil {
		refused, err = t.chooseAudience(ctx)
	}
	switch {
	case err != nil:
		return t.fault("reading the registry", err)
	case refused != nil:
		return t.withID(refused)
	}
	return nil
}

// findResources finds the resources that the scopes name.
func (t *tokenRequest) findResources(ctx context.Context) error {
	t.resources = make(map[string]*policy.Resource)
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
		t.resources[s.Resource] = t.issuer.policyResource(resource)
	}
	return nil
}

// decide asks the policy about the scopes whose audience the token may have. It fails if no scope is granted.
func (t *tokenRequest) decide(ctx context.Context) *oauth.Error {
	var decided policy.TokenDecision
	t.input = t.policyInput()
	if len(t.input.Scopes) > 0 {
		var err error
		if decided, err = t.issuer.Policy.DecideToken(ctx, t.input); err != nil {
			return t.fault("deciding", err)
		}
		if len(decided.Observed) > 0 {
			t.issuer.Metrics.Observed()
		}
	}
	t.decision = t.verdict(decided)
	if len(t.decision.Granted) > 0 {
		return nil
	}
	t.logDecision("")
	t.noteNetwork()
	if t.byDefault() {
		return t.invalidScope("none of the default scopes is granted")
	}
	err := t.invalidScope("none of the requested scopes is granted")
	rejected := t.rejectedScope()
	err.RejectedScope = &rejected
	return err
}

func (t *tokenRequest) invalidScope(description string) *oauth.Error {
	return t.withID(oauth.InvalidScope(description))
}

// fault logs a failure on this side with its cause, and returns the answer, which does not have it.
func (t *tokenRequest) fault(doing string, err error) *oauth.Error {
	t.issuer.Metrics.Failed(err)
	t.issuer.Logger.Log(faultLevel(t.http, err), doing+" failed, no token is issued",
		zap.String("decision_id", t.id), zap.String("client_id", t.clientID()), zap.Error(err))
	return t.withID(oauth.Unavailable("no decision can be made now"))
}

// withID adds the decision's ID to an error, so that its log line can be found.
func (t *tokenRequest) withID(err *oauth.Error) *oauth.Error {
	err.DecisionID = t.id
	return err
}
