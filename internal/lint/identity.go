package lint

import (
	"fmt"
	"maps"

	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
)

// Identity is the identity of a client in a registry.
type Identity struct {
	Client string
	// Issuer is the URL of the issuer of the assertions, and Type their type.
	Issuer, Type string
}

// identities reports identities by which no assertion can be accepted.
func (k *checker) identities(i *Issuer) {
	for _, identity := range i.Identities {
		kind, trusted := i.Trusted[identity.Issuer]
		switch {
		case !trusted:
			k.report(i.Position, fmt.Sprintf("client %q has an identity of %s, which the issuer %s does not trust%s",
				identity.Client, identity.Issuer, i.URL, i.trustHint(identity.Issuer)))
		case kind != identity.Type:
			k.report(i.Position, fmt.Sprintf("client %q has an identity of type %s of %s, whose assertions are of type %s",
				identity.Client, identity.Type, identity.Issuer, kind))
		}
	}
}

// trustHint says what may be meant by a URL that is not trusted.
func (i *Issuer) trustHint(url string) string {
	if near := suggest.Nearest(url, maps.Keys(i.Trusted)); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return fmt.Sprintf("; add `trust %s` to the issuer", url)
}
