package keyring

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/storage"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

var testStorages = caddy.NewUsagePool()

func openStorage(s certmagic.Storage) *storage.Storage {
	return storage.Open(testStorages, s, nil, zap.NewNop())
}

// TestKeyThatLooksDeleted: the connection to the storage is lost between one key and the next.
func TestKeyThatLooksDeleted(t *testing.T) {
	c := newCluster(t)
	n := c.node(0)
	n.Ring.storage = openStorage(n.storage)
	n.start()
	first := n.signerID()
	if _, err := n.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.storage.fail = func(operation, name string) error {
		switch {
		case kidOf(name) != first:
			return nil
		case operation == "Load":
			return fs.ErrNotExist
		}
		return errAway
	}
	if err := n.look(); !errors.Is(err, errAway) {
		t.Errorf("the look says %v", err)
	}
	if n.signerID() != first || n.published().Len() != 2 || len(c.made) != 2 {
		t.Errorf("of %d keys that were made %d are published, and %s signs, not %s", len(c.made), n.published().Len(), n.signerID(), first)
	}
	n.storage.fail = nil
	n.mustLook()
}

// unlockingFiles is a file storage that fails to release locks for as long as fail is set.
type unlockingFiles struct {
	*certmagic.FileStorage
	fail atomic.Bool
}

func (s *unlockingFiles) Unlock(ctx context.Context, name string) error {
	if s.fail.Load() {
		return errAway
	}
	return s.FileStorage.Unlock(ctx, name)
}

// TestKeysWhoseLockIsUnreleased: keys can change after one failed release of their lock, here and on another node.
func TestKeysWhoseLockIsUnreleased(t *testing.T) {
	files := &unlockingFiles{FileStorage: &certmagic.FileStorage{Path: t.TempDir()}}
	node := newCluster(t).node(0)
	of := func(s certmagic.Storage) *Ring {
		return New(openStorage(s), "m2m/auth.example.com", token.ES256, testTimes, nil, node.logger)
	}
	here, there := of(files), of(&certmagic.FileStorage{Path: files.Path})
	if _, err := here.Current(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]*Ring{"here": here, "there": there} {
		files.fail.Store(true)
		if _, err := here.Replace(t.Context(), "leaked"); err != nil {
			t.Fatal(err)
		}
		files.fail.Store(false)
		began := time.Now()
		if _, err := other.Replace(t.Context(), "leaked"); err != nil {
			t.Errorf("%s, after %s: %v", name, time.Since(began), err)
		}
	}
}
