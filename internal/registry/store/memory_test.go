package store_test

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// memory is a storage whose operations can be made to fail.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	locks   map[string]chan struct{}
	fail    func(operation, key string) error
	loads   int
	cut     int // how many listings fail as those of Caddy's file storage do when an object is deleted
}

func newMemory() *memory {
	return &memory{objects: make(map[string][]byte), locks: make(map[string]chan struct{})}
}

var errDisk = errors.New("no space left on device")

// failing makes operations fail on keys that contain a text, until it is called with "nothing".
func (m *memory) failing(operation, part string) { m.failFrom(operation, part, 1) }

// failFrom makes operations fail from the nth time on.
func (m *memory) failFrom(operation, part string, nth int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	times := 0
	m.fail = func(o, key string) error {
		if o != operation || !strings.Contains(key, part) {
			return nil
		}
		if times++; times >= nth {
			return errDisk
		}
		return nil
	}
}

func (m *memory) fault(operation, key string) error {
	if m.fail == nil {
		return nil
	}
	return m.fail(operation, key)
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	if err := m.fault("load", key); err != nil {
		return nil, err
	}
	value, ok := m.objects[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(value), nil
}

func (m *memory) Store(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fault("store", key); err != nil {
		return err
	}
	m.objects[key] = slices.Clone(value)
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fault("delete", key); err != nil {
		return err
	}
	delete(m.objects, key)
	return nil
}

func (m *memory) Exists(_ context.Context, folder string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.objects {
		if key == folder || strings.HasPrefix(key, folder+"/") {
			return true
		}
	}
	return false
}

func (m *memory) List(_ context.Context, folder string, _ bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fault("list", folder); err != nil {
		return nil, err
	}
	if m.cut > 0 {
		m.cut--
		return nil, fs.ErrNotExist
	}
	var keys []string
	for key := range m.objects {
		if path.Dir(key) == folder {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (m *memory) Lock(ctx context.Context, name string) error {
	m.mu.Lock()
	if err := m.fault("lock", name); err != nil {
		m.mu.Unlock()
		return err
	}
	if m.locks[name] == nil {
		m.locks[name] = make(chan struct{}, 1)
	}
	lock := m.locks[name]
	m.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *memory) Unlock(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	<-m.locks[name]
	return nil
}

func (m *memory) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (m *memory) edit(key string, change func([]byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = change(m.objects[key])
}
