package dpop

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
)

// testStorage is a storage in memory.
type testStorage struct {
	lock    sync.Mutex
	mu      sync.Mutex
	objects map[string][]byte
	stored  int
	fails   error
}

func (s *testStorage) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if object, ok := s.objects[key]; ok || s.fails != nil {
		return object, s.fails
	}
	return nil, fs.ErrNotExist
}

func (s *testStorage) Store(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = value
	s.stored++
	return s.fails
}

func (s *testStorage) Lock(context.Context, string) error   { s.lock.Lock(); return nil }
func (s *testStorage) Unlock(context.Context, string) error { s.lock.Unlock(); return nil }

// TestNodesShareTheKey, also those that start at the same time.
func TestNodesShareTheKey(t *testing.T) {
	s := &testStorage{objects: make(map[string][]byte)}
	keys := make([][]byte, 8)
	var nodes sync.WaitGroup
	for n := range keys {
		nodes.Go(func() { keys[n], _ = SharedKey(t.Context(), s) })
	}
	nodes.Wait()
	for _, key := range keys {
		if len(key) != keySize || !bytes.Equal(key, keys[0]) {
			t.Fatalf("%d bytes, and another key than the first", len(key))
		}
	}
	if s.stored != 1 {
		t.Errorf("stored %d times", s.stored)
	}
	one, other := NewNonces("a"), NewNonces("a")
	one.SetKey(keys[0])
	other.SetKey(keys[7])
	if _, ok := other.made(one.next(testNow), testNow); !ok {
		t.Error("the nonce of another node is refused")
	}
}

// TestKeyThatCannotBeRead is not replaced, because other nodes may have it.
func TestKeyThatCannotBeRead(t *testing.T) {
	broken := &testStorage{objects: map[string][]byte{keyPath: []byte("x")}}
	down := &testStorage{fails: errors.New("storage is down")}
	for _, s := range []*testStorage{broken, down} {
		if key, err := SharedKey(t.Context(), s); err == nil || key != nil || s.stored > 0 {
			t.Errorf("%v, stored %d times", err, s.stored)
		}
	}
}
