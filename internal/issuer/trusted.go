package issuer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// TrustedIssuer is an issuer whose assertions identify workloads (RFC 7523 §3). It must not change.
type TrustedIssuer struct {
	// URL is the iss of its assertions, and names it in the registry and to policies.
	URL string
	// Type is registry.TypeJWT or registry.TypeSPIFFE. Default: TypeJWT.
	Type string
	// TrustDomain is that of TypeSPIFFE.
	TrustDomain string
	// Audiences are the accepted values of aud.
	Audiences []string
	// Algs are the accepted algorithms, as token.Expect has them. Default: those of the keys.
	Algs []token.Alg
	// Keys are its keys.
	Keys KeySource
}

// KeySource has the keys of an issuer, which change.
type KeySource interface {
	// KeySet returns the keys. It may wait until it knows whether there is one with the ID.
	KeySet(ctx context.Context, kid string) (*token.KeySet, error)
}

func (t *TrustedIssuer) kind() string { return cmp.Or(t.Type, registry.TypeJWT) }

// CheckTrusted returns an error if an assertion could be of two of the issuers.
func CheckTrusted(all []*TrustedIssuer) error {
	urls, domains := make(map[string]bool), make(map[string]bool)
	for _, t := range all {
		if urls[t.URL] {
			return fmt.Errorf("trust issuer %q: it is trusted twice", t.URL)
		}
		if t.TrustDomain != "" && domains[t.TrustDomain] {
			return fmt.Errorf("trust issuer %q: another issuer has the trust domain %s", t.URL, t.TrustDomain)
		}
		urls[t.URL], domains[t.TrustDomain] = true, true
	}
	return nil
}

const spiffeScheme = "spiffe://"

// CheckTrustDomain returns an error if a text is not the name of a SPIFFE trust domain (SPIFFE-ID §2.1).
func CheckTrustDomain(name string) error {
	isOther := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
	}
	switch {
	case strings.HasPrefix(name, spiffeScheme):
		return errors.New("trust_domain is a name such as example.org, without spiffe://")
	case name == "" || len(name) > 255 || strings.ContainsFunc(name, isOther):
		return fmt.Errorf("trust_domain %q is not a name of lower-case letters, digits, dots, dashes and underscores", name)
	}
	return nil
}

// isOf reports whether a SPIFFE ID is one of a trust domain, with a path (SPIFFE-ID §2).
func isOf(domain, id string) bool {
	path, ok := strings.CutPrefix(id, spiffeScheme+domain+"/")
	return ok && path != ""
}

// trustedOf returns the issuer of an assertion with these claims, which are not verified yet, or nil if it is not trusted. A
// JWT-SVID need not have iss (SPIFFE JWT-SVID §3): its subject says which keys to take, which are those of this trust domain alone.
func (s *Server) trustedOf(iss, sub string) *TrustedIssuer {
	for _, t := range s.Trusted {
		switch {
		case t.TrustDomain != "" && !isOf(t.TrustDomain, sub):
		case iss == t.URL, iss == "" && t.TrustDomain != "":
			return t
		}
	}
	return nil
}
