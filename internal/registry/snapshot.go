package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// MaxFileSize is the greatest number of bytes of a registry file.
const MaxFileSize = 256 << 20

// Snapshot is the content of a registry file at one moment. It never changes.
type Snapshot struct {
	clients   map[string]*Client
	resources map[string]*Resource
	sorted    []*Resource
	revision  string
}

// Parse reads a registry file. The name says which notation it is in: ".json" is JSON, ".yaml" and
// ".yml" are YAML; under another name a first character "{" makes it JSON, anything else YAML. An
// empty file is a registry without entries.
//
// It takes nothing that it does not understand, and its error joins the first ten problems in the
// order of their lines, each a *FileError. No error holds a secret.
func Parse(name string, data []byte) (*Snapshot, error) {
	if len(data) > MaxFileSize {
		return nil, tooLarge(name)
	}
	root, err := readTree(name, data)
	if err != nil {
		return nil, err
	}
	s, err := decode(name, root)
	if err != nil {
		return nil, err
	}
	s.revision = revision(sha256.Sum256(data))
	return s, nil
}

// Client returns a client, or ErrNotFound.
func (s *Snapshot) Client(_ context.Context, id string) (*Client, error) {
	if c, ok := s.clients[id]; ok {
		return c, nil
	}
	return nil, ErrNotFound
}

// Resource returns a resource, or ErrNotFound.
func (s *Snapshot) Resource(_ context.Context, code string) (*Resource, error) {
	if r, ok := s.resources[code]; ok {
		return r, nil
	}
	return nil, ErrNotFound
}

// Resources returns all resources, sorted by code.
func (s *Snapshot) Resources(context.Context) ([]*Resource, error) { return s.sorted, nil }

// Revision is the beginning of the SHA-256 of the file, in hex.
func (s *Snapshot) Revision() string { return s.revision }

func revision(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:8]) }

func tooLarge(name string) error {
	return &FileError{File: name, Msg: fmt.Sprintf("larger than %d MiB", MaxFileSize>>20)}
}
