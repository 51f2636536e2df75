package store

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// MaxLiveSecrets is the greatest number of secrets of a client in storage that work at a time: one, and its replacement.
const MaxLiveSecrets = 2

// checkClient checks a client against the rules of a registry file and those of a storage: how many secrets work, and how
// large the record is. If stored is not nil, it checks only what the client adds to that. It returns the client as it will
// be read again.
func (s *Store) checkClient(id string, stored, c *registry.Client, resources []*registry.Resource) (*registry.Client, error) {
	data, err := encode("client", c)
	if err != nil {
		return nil, err
	}
	checked, err := registry.ParseClient(id, data, resources, stored)
	if err != nil {
		return nil, err
	}
	now := s.now()
	live := slices.DeleteFunc(slices.Clone(checked.Secrets), func(s registry.Secret) bool { return !s.Live(now) })
	if n := len(live); n > MaxLiveSecrets {
		return nil, invalid(fmt.Sprintf("a client may have %d secrets that work at a time, not %d", MaxLiveSecrets, n))
	}
	return checked, nil
}

func checkResource(code string, r *registry.Resource) (*registry.Resource, error) {
	data, err := encode("resource", r)
	if err != nil {
		return nil, err
	}
	return registry.ParseResource(code, data)
}

// encode encodes an entry, or returns an *registry.InvalidError.
func encode(kind string, entry json.Marshaler) ([]byte, error) {
	data, err := json.Marshal(entry)
	if err != nil {
		return nil, invalid(err.Error())
	}
	if len(data) > maxRecordSize {
		return nil, invalid(fmt.Sprintf("the %s is larger than %d KiB", kind, maxRecordSize>>10))
	}
	return data, nil
}
