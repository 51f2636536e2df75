package issuer

import (
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// authMethod is a method by which clients authenticate.
type authMethod struct {
	name string
	// isPossible reports whether an issuer can take it. Default: every issuer can.
	isPossible func(*Server) bool
}

// authMethods are all methods, in the order of the metadata.
var authMethods = []authMethod{
	{name: oauth.ClientSecretBasic},
	{name: oauth.ClientSecretPost},
	{name: oauth.PrivateKeyJWT},
	{name: oauth.FederatedJWT, isPossible: func(s *Server) bool { return s.trusts(registry.TypeJWT) }},
	{name: oauth.SPIFFEJWT, isPossible: func(s *Server) bool { return s.trusts(registry.TypeSPIFFE) }},
	{name: oauth.TLSClientAuth, isPossible: func(s *Server) bool { return s.takesCertificates.Load() }},
	{name: oauth.SelfSignedTLSClientAuth, isPossible: func(s *Server) bool { return s.takesCertificates.Load() }},
}

// trusts reports whether a type of assertion of others identifies workloads.
func (s *Server) trusts(kind string) bool {
	return slices.ContainsFunc(s.Trusted, func(t *TrustedIssuer) bool { return t.kind() == kind })
}

// authMethods returns the names of the methods that the issuer takes: those that it can take, without those that the config leaves
// out.
func (s *Server) authMethods() []string {
	var names []string
	for _, m := range authMethods {
		if s.takes(m.name) && (m.isPossible == nil || m.isPossible(s)) {
			names = append(names, m.name)
		}
	}
	return names
}

// Excluded returns the methods for which a client has credentials if the config leaves out all of them.
func (s *Server) Excluded(c *registry.Client) []string {
	if len(s.AuthMethods) == 0 {
		return nil
	}
	return c.Excluded(s.takesOf)
}

// takesOf is like takes for the methods of the registry, where the two ways to send a secret are one.
func (s *Server) takesOf(method string) bool {
	if method == registry.ClientSecret {
		return s.takes(oauth.ClientSecretBasic) || s.takes(oauth.ClientSecretPost)
	}
	return s.takes(method)
}

// takes reports whether the config leaves a method.
func (s *Server) takes(method string) bool {
	return len(s.AuthMethods) == 0 || slices.Contains(s.AuthMethods, method)
}
