package issuer

import (
	"context"
	"errors"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// KeySet implements door.Issuer.
func (s *Server) KeySet(ctx context.Context, kid string) (*token.KeySet, error) {
	return s.Keys.KeySet(ctx, kid)
}

// Scopes lists the scopes of the registry's resources, one for each action, of one audience or of all if it is "".
func (s *Server) Scopes(ctx context.Context, audience string) ([]string, error) {
	resources, err := s.Registry.Resources(ctx)
	if err != nil {
		return nil, err
	}
	var scopes []string
	for _, resource := range resources {
		if audience != "" && !uri.Equal(s.audienceOf(resource), audience) {
			continue
		}
		for action := range resource.Actions {
			scopes = append(scopes, resource.Code+":*:"+action)
		}
	}
	slices.Sort(scopes)
	return scopes, nil
}

// ScopesRevision implements door.Issuer.
func (s *Server) ScopesRevision() string { return s.Registry.Revision() }

// IsRevoked implements door.Issuer. A key that was revoked is not in the key set.
func (s *Server) IsRevoked(ctx context.Context, claims *token.Claims, _ string) (bool, error) {
	return s.isRevoked(ctx, claims)
}

var errNotConfigured = errors.New("the issuer is not in the config any more")

// RevokedSince implements door.Issuer. It asks each config of this process that has the issuer and has started. The
// issuer of a config that has ended learns of no new revocations, and its successor knows them all. RevokedSince fails
// when there is no such config.
func (s *Server) RevokedSince(ctx context.Context, claims *token.Claims, kid string) (bool, error) {
	err := errNotConfigured
	for _, peer := range issuersWith(s.URL) {
		set := peer.Revocations.Set()
		if set == nil || peer.Keys.Loaded() == nil {
			continue
		}
		if isRevokedIn(set, claims) {
			return true, nil
		}
		var withdrawn bool
		keys, keysErr := peer.KeySet(ctx, kid)
		if withdrawn, err = token.KeyWithdrawn(kid, keys, keysErr); withdrawn {
			return true, nil
		}
	}
	return false, err
}
