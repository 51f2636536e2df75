package issuer

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// grant is a grant type of the token endpoint. Each has a file of its own.
type grant struct {
	name string // the grant_type
	// label names it in the metrics.
	label string
	// begin authenticates the client of a request, and reads what the grant type alone has. After it the client is known, and
	// the request goes on as for any other grant.
	begin func(*tokenRequest, context.Context) *oauth.Error
	// isOffered reports whether an issuer supports the grant type. Default: every issuer does.
	isOffered func(*Server) bool
}

// grants are all grant types, in the order of the metadata.
var grants = []grant{
	{name: oauth.GrantClientCredentials, label: "client_credentials", begin: (*tokenRequest).beginClientCredentials},
	{name: oauth.GrantJWTBearer, label: "jwt_bearer", begin: (*tokenRequest).beginJWTBearer, isOffered: func(s *Server) bool { return len(s.Trusted) > 0 }},
	{name: oauth.GrantTokenExchange, label: "token_exchange", begin: (*tokenRequest).beginTokenExchange},
}

// grantOf returns a grant type, nil if the issuer does not support it.
func (s *Server) grantOf(name string) *grant {
	for i := range grants {
		if g := &grants[i]; g.name == name && g.offeredBy(s) {
			return g
		}
	}
	return nil
}

func (g *grant) offeredBy(s *Server) bool { return g.isOffered == nil || g.isOffered(s) }

// grantTypes returns the names of the grant types that the issuer supports.
func (s *Server) grantTypes() []string {
	var names []string
	for i := range grants {
		if grants[i].offeredBy(s) {
			names = append(names, grants[i].name)
		}
	}
	return names
}
