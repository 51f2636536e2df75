package issuer

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// policyInput returns what the policy is asked. Of the scopes it has only those that the policy may decide on.
func (t *tokenRequest) policyInput() policy.TokenInput {
	resources := make(map[string]policy.Resource, len(t.resources))
	for code, r := range t.resources {
		resources[code] = policy.Resource{
			Actions: slices.Sorted(maps.Keys(r.Actions)), Audience: t.issuer.audienceOf(r), Attributes: r.Attributes,
		}
	}
	return policy.TokenInput{
		Issuer: t.issuer.URL,
		Client: policy.Client{
			ID: t.client.ID, Description: t.client.Description,
			Attributes: t.client.Attributes, Audiences: t.client.Audiences, Networks: networkTexts(t.client.Networks),
			Grants: t.client.Grants,
		},
		Scopes:    slices.DeleteFunc(slices.Clone(t.requested), func(s scope.Scope) bool { return !t.isForPolicy(s) }),
		Resources: resources,
		Request:   policy.TokenRequest{RemoteIP: t.issuer.Host.ClientIP(t.http), AuthMethod: t.oauth.AuthMethod, Audience: t.audience},
		Time:      t.start, // also in the log, so that a replay decides at the same time
	}
}

// networkTexts returns networks as policies read them. It allocates nothing for a client without networks.
func networkTexts(networks []netip.Prefix) []string {
	var texts []string
	for _, n := range networks {
		texts = append(texts, n.String())
	}
	return texts
}
