package store

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// ClientsFor returns the clients that have an identity which covers the subject of the issuer.
func (s *Store) ClientsFor(ctx context.Context, issuer, subject string) ([]*registry.Client, error) {
	ids, err := s.ClientIDs(ctx, "", "", 0)
	if err != nil {
		return nil, err
	}
	var clients []*registry.Client
	for _, id := range ids {
		c, err := s.Client(ctx, id)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	return registry.Covering(clients, issuer, subject), nil
}
