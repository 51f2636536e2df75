package issuer

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

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
		Resources: resources,
		Request:   policy.TokenRequest{RemoteIP: t.issuer.Host.ClientIP(t.http), AuthMethod: t.oauth.AuthMethod, Audience: t.audience},
		Time:      t.start, // which the log has as well, so that a replay finds the same hour
	}
}

// networkTexts is networks as policies read them; a client that has none pays nothing.
func networkTexts(networks []netip.Prefix) []string {
	var texts []string
	for _, n := range networks {
		texts = append(texts, n.String())
	}
	return texts
}
