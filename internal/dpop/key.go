package dpop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

const (
	keySize = 32 // bytes
	// keyPath is where the key of the nonces is in Caddy's storage. Who has it can make proofs ahead of time with a client's
	// key, and nothing else.
	keyPath  = "m2m/dpop_nonce_key"
	keyLock  = "m2m_dpop_nonce_key"
	keyLabel = "dpop nonce key"
)

// Storage is what SharedKey needs of Caddy's storage.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// SharedKey returns the key that all nodes with the same storage use for nonces. It creates the key if there is none.
func SharedKey(ctx context.Context, s Storage) ([]byte, error) {
	key, err := loadKey(ctx, s)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := s.Lock(ctx, keyLock); err != nil {
		return nil, fmt.Errorf("locking %s: %w", keyPath, err)
	}
	defer func() { _ = s.Unlock(context.WithoutCancel(ctx), keyLock) }()
	if key, err = loadKey(ctx, s); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = newKey()
	if err := s.Store(ctx, keyPath, envelope.Seal(keyLabel, key)); err != nil {
		return nil, fmt.Errorf("storing %s: %w", keyPath, err)
	}
	return key, nil
}

func loadKey(ctx context.Context, s Storage) ([]byte, error) {
	object, err := s.Load(ctx, keyPath)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", keyPath, err)
	}
	key, err := envelope.Open(keyLabel, object)
	if err == nil && len(key) != keySize {
		err = errors.New("it has another length than a key")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", keyPath, err)
	}
	return key, nil
}
