package issuer

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// policyInput returns what the policy is asked. Of the scopes it has only those that the policy may decide on.
func (t *tokenRequest) policyInput() policy.TokenInput {
	return policy.TokenInput{
		Issuer:    t.issuer.URL,
		Client:    t.issuer.policyClient(t.client, t.method),
		Scopes:    t.scopesForPolicy(),
		Resources: t.resources,
		Request:   policy.TokenRequest{RemoteIP: t.issuer.Host.ClientIP(t.http), AuthMethod: t.method, Audience: t.audience},
		Subject:   t.subject,
		Actor:     t.actor,
		Time:      t.start, // also in the log, so that a replay decides at the same time
	}
}

// scopesForPolicy returns the scopes that the policy may decide on: usually all of them.
func (t *tokenRequest) scopesForPolicy() []scope.Scope {
	isNot := func(s scope.Scope) bool { return !t.isForPolicy(s) }
	if !slices.ContainsFunc(t.requested, isNot) {
		return t.requested
	}
	return slices.DeleteFunc(slices.Clone(t.requested), isNot)
}

// policyClient returns what policies see of a client that authenticated by a method. It is the same for each such request while
// the client does not change.
func (s *Server) policyClient(c *registry.Client, method string) *policy.Client {
	return s.inputs.clients.get(clientVersion{c, method}, func() *policy.Client {
		return &policy.Client{
			ID: c.ID, AuthMethod: method, Description: c.Description,
			Attributes: c.Attributes, Audiences: c.Audiences, Networks: networkTexts(c.Networks),
			Grants: c.Grants,
		}
	}, weighClient)
}

// policyResource is like policyClient for a resource.
func (s *Server) policyResource(r *registry.Resource) *policy.Resource {
	return s.inputs.resources.get(r, func() *policy.Resource {
		return &policy.Resource{Actions: slices.Sorted(maps.Keys(r.Actions)), Audience: s.audienceOf(r), Attributes: r.Attributes}
	}, weighResource)
}

// networkTexts returns networks as policies read them. It allocates nothing for a client without networks.
func networkTexts(networks []netip.Prefix) []string {
	var texts []string
	for _, n := range networks {
		texts = append(texts, n.String())
	}
	return texts
}
