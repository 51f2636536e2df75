package issuer

import (
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// wholeRegistry is a registry that is in memory as a whole.
type wholeRegistry interface {
	Unused() []*registry.Client
	Excluded(takes func(method string) bool) (ids []string, count int)
}

// WarnOfCredentials warns of the clients of a registry file whose credentials have no effect. A registry in storage may be too
// large for a look at each client, so there the admin API says it of a client that it shows.
func (s *Server) WarnOfCredentials() {
	whole, ok := s.Registry.(wholeRegistry)
	if !ok {
		return
	}
	for _, unused := range whole.Unused() {
		s.Logger.Warn("a client has credentials that its auth does not allow", zap.String("client_id", unused.ID),
			zap.String("auth", unused.Auth), zap.Strings("unused", unused.Unused()))
	}
	if len(s.AuthMethods) == 0 {
		return
	}
	if ids, count := whole.Excluded(s.takesOf); count > 0 {
		s.Logger.Warn("clients have only credentials that auth_methods excludes", zap.Strings("client_ids", ids), zap.Int("count", count))
	}
}

// lookAtRegistry returns a function that takes changes of the registry.
func (s *Server) lookAtRegistry() func() {
	watcher := s.watcher("registry", s.Registry)
	return func() {
		before := s.Registry.Revision()
		if watcher.Look(); s.Registry.Revision() != before {
			s.WarnOfCredentials()
		}
	}
}
