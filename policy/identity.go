package policy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// IdentityInput is the input document of an identity decision: an assertion of a trusted issuer that has been verified, before
// it is known as which client it acts.
type IdentityInput struct {
	// Issuer is the URL of the issuer that decides, not that of the assertion.
	Issuer string `json:"issuer"`
	// Identity is what the assertion says, and not the assertion itself.
	Identity Identity `json:"identity"`
	// Clients are the client_ids of the clients whose identities in the registry match, sorted; often one.
	Clients []string `json:"clients"`
	// Request is the request itself.
	Request IdentityRequest `json:"request"`
	// Time is the time that the policy sees. Default: the current time.
	Time time.Time `json:"-"`
}

// Identity is a verified assertion.
type Identity struct {
	// Issuer is the trusted issuer, as its block in the config names it.
	Issuer string `json:"issuer"`
	// Subject is the claim sub.
	Subject string `json:"subject"`
	// Type is the type of the trusted issuer: jwt, or jwt-spiffe for a SPIFFE JWT-SVID.
	Type string `json:"type"`
	// KeyID is the thumbprint (RFC 7638) of the key that verified the signature.
	KeyID string `json:"key_id"`
	// Claims are all claims, by name.
	Claims map[string]any `json:"claims"`
}

// IdentityRequest describes the request that brought the assertion.
type IdentityRequest struct {
	// RemoteIP is the client's address without port and zone; empty if it is not known.
	RemoteIP string `json:"remote_ip"`
	// ClientID is the client_id of the request; empty if it has none.
	ClientID string `json:"client_id"`
	// GrantType is the grant_type of the request; empty at other endpoints than the token endpoint.
	GrantType string `json:"grant_type"`
}

// IdentityDecision is a policy's answer to an identity.
type IdentityDecision struct {
	// Clients are the client_ids of the clients that the identity may act as, sorted: those of the registry and of the policy.
	// The policy may name clients that do not exist.
	Clients []string
	// Denied are the reasons to refuse the identity, sorted. They are for logs and not for the client.
	Denied []string
	// Revision identifies the policy that decided.
	Revision string
}

// value is the input document; schemas/identity/input.json describes it.
func (in IdentityInput) value() (ast.Value, error) {
	claims, err := objectTerm("claims", in.Identity.Claims)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return ast.NewObject(
		ast.Item(keyIssuer, stringTerm(in.Issuer)),
		ast.Item(keyIdentity, ast.ObjectTerm(
			ast.Item(keyIssuer, stringTerm(in.Identity.Issuer)),
			ast.Item(keySubject, stringTerm(in.Identity.Subject)),
			ast.Item(keyType, stringTerm(in.Identity.Type)),
			ast.Item(keyKeyID, stringTerm(in.Identity.KeyID)),
			ast.Item(keyClaims, claims),
		)),
		ast.Item(keyClients, arrayTerm(in.Clients, stringTerm)),
		ast.Item(keyRequest, ast.ObjectTerm(
			ast.Item(keyRemoteIP, stringTerm(in.Request.RemoteIP)),
			ast.Item(keyClientID, stringTerm(in.Request.ClientID)),
			ast.Item(keyGrantType, stringTerm(in.Request.GrantType)),
		)),
	), nil
}

func (IdentityInput) known(ast.Value) known { return known{} }

// DecideIdentity decides as which clients a verified identity may act. Without a rule of package m2m.identity these are the
// clients of the input. Time and errors are as for DecideToken. Decisions are not cached, because hardly two assertions have
// the same claims.
func (e *Engine) DecideIdentity(ctx context.Context, in IdentityInput) (IdentityDecision, error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return IdentityDecision{}, err
	}
	var answer IdentityDecision
	if s.maps {
		q, err := newQuestion(s, in, in.Time, identityQuery, (*results).identity)
		if err != nil {
			return IdentityDecision{}, err
		}
		if answer, err = decideOn(ctx, e, q); err != nil {
			return IdentityDecision{}, err
		}
	}
	return answer.with(in.Clients, s), nil
}

// with adds the clients of the registry.
func (d IdentityDecision) with(listed []string, s *snapshot) IdentityDecision {
	all := append(slices.Clone(listed), d.Clients...)
	slices.Sort(all)
	d.Clients, d.Revision = slices.Compact(all), s.revision
	return d
}

// identity decodes the values of the rules of an identity decision.
func (r *results) identity() IdentityDecision {
	return IdentityDecision{
		Clients: r.clients(r.set(0, "clients")),
		Denied:  r.reasons("denied", r.set(1, "denied")),
	}
}

func (r *results) clients(members []*ast.Term) []string {
	var ids []string
	for _, term := range members {
		id, ok := term.Value.(ast.String)
		switch {
		case !ok:
			r.fail("clients", "holds %s, which is not a string", kindOf(term))
			return nil
		case id == "":
			r.fail("clients", "holds an empty client_id")
			return nil
		}
		ids = append(ids, string(id))
	}
	return ids
}

// IdentityExplanation is a decision on an identity, with the rules that made it.
type IdentityExplanation struct {
	// Decision is what DecideIdentity says.
	Decision IdentityDecision `json:"-"`
	// Clients are the clients that the identity may act as. One that only the registry lists has no cause.
	Clients []ValueExplanation `json:"clients"`
	// Denied are the rules that refuse the identity.
	Denied []Cause `json:"denied"`
	// Revision identifies the policy that decided.
	Revision string `json:"revision"`
}

// ExplainIdentity decides like DecideIdentity, and names the rules that decided. Time and errors are as for ExplainToken.
func (e *Engine) ExplainIdentity(ctx context.Context, in IdentityInput) (IdentityExplanation, error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return IdentityExplanation{}, err
	}
	q, err := newQuestion(s, in, in.Time, identityQuery, (*results).identity)
	if err != nil {
		return IdentityExplanation{}, err
	}
	x, err := explain(ctx, e, q, false)
	if err != nil {
		return IdentityExplanation{}, err
	}
	d := IdentityExplanation{
		Decision: x.value.with(in.Clients, s), Clients: []ValueExplanation{}, Denied: explainReasons(x, 1, "denied"), Revision: s.revision,
	}
	for _, id := range d.Decision.Clients {
		client := ValueExplanation{Name: id, Value: id, Causes: []Cause{}}
		if slices.Contains(x.value.Clients, id) {
			client.Causes = x.origins.causes("clients", ast.String(id), "")
		}
		d.Clients = append(d.Clients, client)
	}
	return d, nil
}
