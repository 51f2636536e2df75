package issuer

import (
	"cmp"
	"context"
	"errors"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/assertion"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// explainAssertion explains the answer to a token request with an assertion of a trusted issuer. Unlike a caller, the operator
// learns what is wrong with it.
func (s *Server) explainAssertion(ctx context.Context, asked api.ExplainRequest) (*api.Explanation, *token.Claims, error) {
	e := s.explaining(ctx, asked, authenticated{})
	e.grantType = oauth.GrantClientCredentials
	e.Identity = &api.IdentityExplanation{Listed: []string{}, Clients: []policy.ValueExplanation{}, Denied: []policy.Cause{}}
	a, err := e.explainIdentity(ctx)
	var refusal *registry.Refusal
	switch {
	case errors.As(err, &refusal):
		e.refuse(refusal.Reason, "%s", refusalTexts[refusal.Reason])
		return e.Explanation, nil, nil
	case err != nil && ctx.Err() == nil:
		e.refuse("no_decision", "%v", err)
		return e.Explanation, nil, nil
	case err != nil:
		return nil, nil, err
	}
	e.authenticated, e.subject = a, a.party()
	return e.explain(ctx)
}

// refusalTexts say what the reasons of refusals of identities mean.
var refusalTexts = map[string]string{
	badAssertion:            "the assertion is not accepted",
	untrustedIssuer:         "the config does not trust the issuer of the assertion",
	unknownIdentity:         "the identity may not act as the client, or as any client if the request names none",
	ambiguousIdentity:       "the identity may act as several clients, so the request must have client_id",
	identityDenied:          "the policy denies the identity",
	otherMethod:             "the client may only authenticate by another method",
	registry.UnknownClient:  "the policy names a client that does not exist",
	registry.ClientDisabled: "the client is disabled",
	registry.ClientExpired:  "the client has expired",
}

// explainIdentity verifies the assertion and finds its client, as identify does.
func (e *explaining) explainIdentity(ctx context.Context) (authenticated, error) {
	x := e.Identity
	opened, err := assertion.Open(e.asked.Assertion)
	if err != nil {
		x.Problem = err.Error()
		return authenticated{}, &registry.Refusal{Reason: badAssertion}
	}
	x.Issuer, x.Subject = opened.Issuer(), opened.Subject()
	trusted := e.issuer.issuerOf(opened)
	if trusted == nil {
		x.Problem = "no trust block is for this issuer, or the subject is not one of its trust domain"
		return authenticated{}, &registry.Refusal{Reason: untrustedIssuer}
	}
	x.Issuer, x.Type = trusted.URL, trusted.kind()
	if !e.issuer.takes(trusted.method()) {
		x.Problem = "auth_methods leaves out " + trusted.method()
		return authenticated{}, &registry.Refusal{Reason: badAssertion}
	}
	identity, err := trusted.check(ctx, opened, presented{}, e.start)
	if err != nil {
		x.Problem = err.Error()
		return authenticated{}, refusedAssertion(err)
	}
	x.Verified, x.KeyID, x.Claims = true, identity.KeyID, identity.Claims
	input, err := e.identityInput(ctx, trusted, identity, e.asked.Client)
	if err != nil {
		return authenticated{}, err
	}
	decided, err := e.issuer.Policy.ExplainIdentity(ctx, input)
	if err != nil {
		return authenticated{}, err
	}
	x.Listed, x.Clients, x.Denied = api.OrEmpty(input.Clients), decided.Clients, decided.Denied
	e.PolicyRevision = cmp.Or(decided.Revision, e.PolicyRevision)
	return e.chosen(ctx, trusted, identity, decided.Decision, e.asked.Client)
}
