package keyring

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// cluster is a storage and a clock that nodes share.
type cluster struct {
	t       testing.TB
	clock   atomic.Int64
	mu      sync.Mutex
	objects map[string][]byte
	made    map[string]bool // every kid there ever was
	locks   sync.Map
}

func newCluster(t testing.TB) *cluster {
	c := &cluster{t: t, objects: make(map[string][]byte), made: make(map[string]bool)}
	c.clock.Store(testEpoch.UnixNano())
	return c
}

func (c *cluster) now() time.Time { return time.Unix(0, c.clock.Load()).UTC() }

func (c *cluster) pass(d time.Duration) { c.clock.Add(int64(d)) }

// clusterNode is one node.
type clusterNode struct {
	*Ring
	storage *nodeStorage
	log     *observer.ObservedLogs
}

func (c *cluster) node(skew time.Duration, seal ...*Seal) *clusterNode {
	core, log := observer.New(zap.InfoLevel)
	storage := &nodeStorage{cluster: c}
	n := &clusterNode{storage: storage, log: log}
	n.Ring = New(storage, "m2m/auth.example.com", token.ES256, testTimes, append(seal, nil)[0], zap.New(core))
	n.now = func() time.Time { return c.now().Add(skew) }
	return n
}

// start loads the keys, as the start of a server does.
func (n *clusterNode) start() *clusterNode {
	n.storage.t.Helper()
	if _, err := n.Current(context.Background()); err != nil {
		n.storage.t.Fatal(err)
	}
	return n
}

// look reads the keys once, as Watch does.
func (n *clusterNode) look() error {
	_, _, err := n.refresh(context.Background(), true)
	return err
}

func (n *clusterNode) mustLook() {
	n.storage.t.Helper()
	if err := n.look(); err != nil {
		n.storage.t.Fatal(err)
	}
}

func (n *clusterNode) signerID() string {
	n.storage.t.Helper()
	key, err := n.Signer(context.Background())
	if err != nil {
		n.storage.t.Fatal(err)
	}
	return key.ID()
}

func (n *clusterNode) published() *token.KeySet { return n.loaded.Load().Public }

// errors returns how many errors the node has logged.
func (n *clusterNode) errors() int { return n.log.FilterLevelExact(zap.ErrorLevel).Len() }

// nodeStorage is the storage as one node sees it.
type nodeStorage struct {
	*cluster
	certmagic.Storage // nil: what it is not expected to be asked for
	fail              func(operation, name string) error
	after             func(operation, name string) error // once it is done
	listed            atomic.Int64
}

var errAway = errors.New("the storage is away")

func away(string, string) error { return errAway }

func (s *nodeStorage) do(operation, name string, do func() error) error {
	if s.fail != nil {
		if err := s.fail(operation, name); err != nil {
			return err
		}
	}
	s.mu.Lock()
	err := do()
	s.mu.Unlock()
	if err == nil && s.after != nil {
		err = s.after(operation, name)
	}
	return err
}

func (s *nodeStorage) Exists(_ context.Context, folder string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.objects {
		if strings.HasPrefix(name, folder+"/") {
			return true
		}
	}
	return false
}

func (s *nodeStorage) Load(_ context.Context, name string) (object []byte, err error) {
	err = s.do("Load", name, func() error {
		var ok bool
		if object, ok = s.objects[name]; !ok {
			return fs.ErrNotExist
		}
		return nil
	})
	return object, err
}

func (s *nodeStorage) Store(_ context.Context, name string, object []byte) error {
	return s.do("Store", name, func() error {
		s.objects[name], s.made[kidOf(name)] = object, true
		return nil
	})
}

func (s *nodeStorage) Delete(_ context.Context, name string) error {
	return s.do("Delete", name, func() error {
		delete(s.objects, name)
		return nil
	})
}

func (s *nodeStorage) List(_ context.Context, prefix string, _ bool) (names []string, err error) {
	s.listed.Add(1)
	err = s.do("List", prefix, func() error {
		for name := range s.objects {
			if path.Dir(name) == prefix {
				names = append(names, name)
			}
		}
		if names == nil {
			return fs.ErrNotExist
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

func (s *nodeStorage) lock(name string) chan struct{} {
	lock, _ := s.locks.LoadOrStore(name, make(chan struct{}, 1))
	return lock.(chan struct{})
}

func (s *nodeStorage) Lock(ctx context.Context, name string) error {
	if err := s.do("Lock", name, func() error { return nil }); err != nil {
		return err
	}
	select {
	case s.lock(name) <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *nodeStorage) Unlock(_ context.Context, name string) error {
	<-s.lock(name)
	return nil
}

// stored returns the kids in storage.
func (c *cluster) stored() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kids []string
	for name := range maps.Keys(c.objects) {
		kids = append(kids, kidOf(name))
	}
	return kids
}

// spoil changes an object.
func (c *cluster) spoil(kid string, change func(string) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, object := range c.objects {
		if kidOf(name) == kid {
			c.objects[name] = []byte(change(string(object)))
		}
	}
}

func cutOff(object string) string { return object[:len(object)/2] }

func flipped(object string) string { return strings.Replace(object, `"d":"`, `"d":"A`, 1) }
