package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxFileSize is the greatest number of bytes of a registry file.
const MaxFileSize = 256 << 20

// Snapshot is the content of a registry file at one moment. It never changes.
type Snapshot struct {
	clients    map[string]*Client
	resources  *ResourceSet
	identities *identityIndex // nil if there are none
	revision   string
	places     map[string]position // of clients in the file; only while it is planned

	sortIDs sync.Once // most registries are never listed
	ids     []string
}

// Parse parses a registry file. The name tells the notation: ".json" is JSON, and ".yaml" and ".yml" are YAML. A file with
// another name is JSON if its first character is "{", and YAML otherwise. An empty file is a registry without entries.
//
// Parse refuses anything that it does not know. Its error joins the first ten problems in the order of their lines, each a
// *FileError. Errors never hold a secret.
func Parse(name string, data []byte) (*Snapshot, error) {
	if len(data) > MaxFileSize {
		return nil, TooLarge(name)
	}
	root, err := readTree(name, data)
	if err != nil {
		return nil, err
	}
	s, err := decode(name, root, nil)
	if err != nil {
		return nil, err
	}
	s.places, s.revision = nil, revision(sha256.Sum256(data))
	return s, nil
}

// Client returns a client, or ErrNotFound.
func (s *Snapshot) Client(_ context.Context, id string) (*Client, error) {
	if c, ok := s.clients[id]; ok {
		return c, nil
	}
	return nil, ErrNotFound
}

// AuthenticateBy returns the client if the proof is its own, or else a *Refusal.
func (s *Snapshot) AuthenticateBy(_ context.Context, id string, proof Proof, now time.Time) (*Client, error) {
	return s.clients[id].AuthenticateBy(proof, now)
}

// ClientsFor returns the clients that have an identity which covers the subject.
func (s *Snapshot) ClientsFor(_ context.Context, issuer, subject string) ([]*Client, error) {
	return s.identities.clientsFor(issuer, subject), nil
}

// Authenticate returns the client whose secret this is, and the ID of the secret, or a *Refusal.
func (s *Snapshot) Authenticate(_ context.Context, id, secret string, now time.Time) (*Client, string, error) {
	return s.clients[id].Authenticate(secret, now)
}

// Resource returns a resource, or ErrNotFound.
func (s *Snapshot) Resource(_ context.Context, code string) (*Resource, error) {
	if r, ok := s.resources.ByCode[code]; ok {
		return r, nil
	}
	return nil, ErrNotFound
}

// Resources returns all resources, sorted by code.
func (s *Snapshot) Resources(context.Context) ([]*Resource, error) { return s.resources.Sorted, nil }

// ClientIDs implements Registry.
func (s *Snapshot) ClientIDs(_ context.Context, prefix, after string, limit int) ([]string, error) {
	s.sortIDs.Do(func() { s.ids = slices.Sorted(maps.Keys(s.clients)) })
	return PageOfIDs(s.ids, prefix, after, limit), nil
}

// PageOfIDs returns the ids that begin with prefix and come after the id after, at most limit of them if limit is positive.
// The ids are sorted.
func PageOfIDs(sorted []string, prefix, after string, limit int) []string {
	from, _ := slices.BinarySearch(sorted, max(prefix, after))
	page := []string{}
	for _, id := range sorted[from:] {
		if !strings.HasPrefix(id, prefix) || limit > 0 && len(page) == limit {
			break
		}
		if id != after {
			page = append(page, id)
		}
	}
	return page
}

// Unused returns the first ten clients that have credentials which they may not use, sorted by id.
func (s *Snapshot) Unused() (clients []*Client) {
	for _, c := range s.clients {
		if c.Auth != "" && len(c.Unused()) > 0 {
			clients = append(clients, c)
		}
	}
	slices.SortFunc(clients, func(a, b *Client) int { return strings.Compare(a.ID, b.ID) })
	return clients[:min(len(clients), maxReported)]
}

// Excluded returns how many clients have only credentials for methods that takes excludes, and the ids of the first ten of them,
// sorted. See Client.Excluded.
func (s *Snapshot) Excluded(takes func(method string) bool) (ids []string, count int) {
	for id, c := range s.clients {
		if len(c.Excluded(takes)) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(len(ids), maxReported)], len(ids)
}

// Revision returns the beginning of the SHA-256 of the file, in hex.
func (s *Snapshot) Revision() string { return s.revision }

func revision(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:8]) }

// TooLarge returns the error about a registry file that is larger than MaxFileSize.
func TooLarge(name string) error {
	return &FileError{File: name, Msg: fmt.Sprintf("larger than %d MiB", MaxFileSize>>20)}
}
