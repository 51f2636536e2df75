package store

import "context"

// Storage is where a Store keeps its objects. It has neither transactions nor compare-and-swap: an object is written as a
// whole or not at all, and a lock keeps writers apart. Load returns an error that wraps fs.ErrNotExist if the object does
// not exist.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, path string, recursive bool) ([]string, error)
	Exists(ctx context.Context, key string) bool
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// Lookups is the storage as a Store uses it for unauthenticated callers. They can cause any number of these calls, so an
// implementation should give them a small share of the storage. The methods are those of Storage, but an fs.ErrNotExist
// of Load may stand for any other error: the Store checks that.
type Lookups interface {
	Load(ctx context.Context, key string) ([]byte, error)
	List(ctx context.Context, path string, recursive bool) ([]string, error)
	// Has reports whether an object exists.
	Has(ctx context.Context, key string) (bool, error)
}

// allOf gives lookups the whole storage.
type allOf struct{ Storage }

func (s allOf) Has(ctx context.Context, key string) (bool, error) { return s.Exists(ctx, key), nil }

// SetLookups sets the storage for unauthenticated callers: one for those that name a client that was in memory before,
// or have an identity that a pattern of a client covers, and for all patterns (known), and one for the others. Call it before the first lookup.
func (s *Store) SetLookups(unauthenticated, known Lookups) {
	s.unauthenticated, s.known = unauthenticated, known
}
