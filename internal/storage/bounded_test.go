package storage

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// hangingStorage answers no call until letGo, whatever the context says, like files on a network file system whose server
// is down.
type hangingStorage struct {
	certmagic.Storage // nil: what it is not expected to be asked for
	let               chan struct{}

	mu   sync.Mutex
	came []string
	done []string
}

func newHangingStorage(t *testing.T) *hangingStorage {
	s := &hangingStorage{let: make(chan struct{})}
	t.Cleanup(s.letGo)
	return s
}

func (s *hangingStorage) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.let:
	default:
		close(s.let)
	}
}

func (s *hangingStorage) do(what string) {
	s.mu.Lock()
	s.came = append(s.came, what)
	s.mu.Unlock()
	<-s.let
	s.mu.Lock()
	s.done = append(s.done, what)
	s.mu.Unlock()
}

// saw reports whether the calls that were done are these.
func (s *hangingStorage) saw(want ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Equal(s.done, want)
}

func (s *hangingStorage) begun() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.came)
}

func (s *hangingStorage) Load(context.Context, string) ([]byte, error) {
	s.do("load")
	return []byte("x"), nil
}
func (s *hangingStorage) List(context.Context, string, bool) ([]string, error) {
	s.do("list")
	return []string{"x"}, nil
}
func (s *hangingStorage) Exists(context.Context, string) bool         { s.do("exists"); return true }
func (s *hangingStorage) Store(context.Context, string, []byte) error { s.do("store"); return nil }
func (s *hangingStorage) Delete(context.Context, string) error        { s.do("delete"); return nil }
func (s *hangingStorage) Lock(context.Context, string) error          { s.do("lock"); return nil }
func (s *hangingStorage) Unlock(context.Context, string) error        { s.do("unlock"); return nil }

var testPool = caddy.NewUsagePool()

func openBounded(s certmagic.Storage) *Bounded { return Open(testPool, s, nil, zap.NewNop()).Bounded }

// impatient is a bounded storage that waits for some milliseconds.
func impatient(s certmagic.Storage) *Bounded {
	bounded := openBounded(s)
	bounded.timeout, bounded.listTimeout = 20*time.Millisecond, 20*time.Millisecond
	return bounded
}

// callsOf are all calls of a storage, each with what it says.
func callsOf(s certmagic.Storage, ctx context.Context) map[string]func() error {
	return map[string]func() error{
		"load": func() error {
			object, err := s.Load(ctx, "k")
			if err == nil && string(object) != "x" {
				err = errors.New("something else was loaded")
			}
			return err
		},
		"list": func() error {
			keys, err := s.List(ctx, "k", false)
			if err == nil && !slices.Equal(keys, []string{"x"}) {
				err = errors.New("something else was listed")
			}
			return err
		},
		"exists": func() error {
			if !s.Exists(ctx, "k") {
				return context.DeadlineExceeded
			}
			return nil
		},
		"store":  func() error { return s.Store(ctx, "k", nil) },
		"delete": func() error { return s.Delete(ctx, "k") },
		"lock":   func() error { return s.Lock(ctx, "k") },
		"unlock": func() error { return s.Unlock(ctx, "k") },
	}
}

func TestStorageThatHangsIsNotWaitedFor(t *testing.T) {
	for name := range callsOf(nil, nil) {
		hanging := newHangingStorage(t)
		call := callsOf(impatient(hanging), t.Context())[name]
		if err := call(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s says %v", name, err)
		}
		hanging.letGo()
		call = callsOf(openBounded(hanging), t.Context())[name]
		soon(t, name+" works when the storage answers", func() bool { return call() == nil })
	}
}

func TestStorageThatHangsIsAskedByFew(t *testing.T) {
	hanging := newHangingStorage(t)
	bounded := impatient(hanging)
	var asking sync.WaitGroup
	for range maxCalls + 50 {
		asking.Go(func() {
			if _, err := bounded.Load(t.Context(), "k"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("loading says %v", err)
			}
		})
	}
	asking.Wait()
	soon(t, "as many as may are under way", func() bool { return hanging.begun() == maxCalls })
	if err := bounded.Unlock(t.Context(), "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("unlocking says %v", err)
	}
	soon(t, "unlocking has begun", func() bool { return hanging.begun() == maxCalls+1 })
	hanging.letGo()
	bounded.timeout = time.Minute
	for range 2 * maxCalls {
		if _, err := bounded.Load(t.Context(), "k"); err != nil {
			t.Fatalf("when the storage answers, loading says %v", err)
		}
	}
}

// TestWriteThatTakesTooLong: nothing else is written before it has ended, because it could overwrite what is newer.
func TestWriteThatTakesTooLong(t *testing.T) {
	for _, slow := range []string{"store", "delete", "unlock"} {
		hanging := newHangingStorage(t)
		bounded := impatient(hanging)
		calls := callsOf(bounded, t.Context())
		if err := calls[slow](); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s says %v", slow, err)
		}
		for _, other := range []string{"store", "delete", "lock"} {
			if err := calls[other](); !errors.Is(err, errLateWrite) {
				t.Errorf("%s during %s says %v", other, slow, err)
			}
		}
		hanging.letGo()
		bounded.timeout = time.Minute
		soon(t, "the storage is written to again", func() bool { return calls["store"]() == nil })
		if !hanging.saw(slow, "store") {
			t.Errorf("done were %v", hanging.done)
		}
	}
}

// TestWriteThatTakesTooLongForAnother: all users of a storage wait for its late write.
func TestWriteThatTakesTooLongForAnother(t *testing.T) {
	hanging := newHangingStorage(t)
	one, other, elsewhere := impatient(hanging), impatient(hanging), impatient(newHangingStorage(t))
	if err := one.Store(t.Context(), "k", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("storing says %v", err)
	}
	if err := other.Store(t.Context(), "k", nil); !errors.Is(err, errLateWrite) {
		t.Errorf("storing by another says %v", err)
	}
	if err := elsewhere.Store(t.Context(), "k", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("storing elsewhere says %v", err)
	}
	if hanging.begun() != 1 {
		t.Errorf("begun were %v", hanging.came)
	}
}

// incomparable is a storage that cannot be the key of a map.
type incomparable struct {
	certmagic.Storage
	_ []string
}

func TestStoragesThatAreTheSame(t *testing.T) {
	folder := t.TempDir()
	files := func(path string) certmagic.Storage { return &certmagic.FileStorage{Path: path} }
	pointer := newHangingStorage(t)
	for name, c := range map[string]struct {
		one, other certmagic.Storage
		same       bool
	}{
		"one folder, of two configs": {files(folder), files(folder + "/"), true},
		"two folders":                {files(folder), files(folder + "/x"), false},
		"one value":                  {pointer, pointer, true},
		"two values":                 {pointer, newHangingStorage(t), false},
		"values that are equal":      {incomparable{}, incomparable{}, true},
	} {
		if one, other := openBounded(c.one), openBounded(c.other); (one.shared == other.shared) != c.same {
			t.Errorf("%s: the same is %v", name, !c.same)
		}
	}
}

// TestClosedStorageIsForgotten once no call is in progress: each config may have a storage of its own.
func TestClosedStorageIsForgotten(t *testing.T) {
	for name, call := range map[string]func(s *Storage) error{
		"a read":     func(s *Storage) error { _, err := s.Load(t.Context(), "k"); return err },
		"a write":    func(s *Storage) error { return s.Store(t.Context(), "k", nil) },
		"an unlock":  func(s *Storage) error { return s.Unlock(t.Context(), "k") },
		"an unknown": func(s *Storage) error { _, err := s.ForUnauthenticated().Load(t.Context(), "k"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			hanging := newHangingStorage(t)
			pool, known := caddy.NewUsagePool(), false
			s := Open(pool, hanging, nil, zap.NewNop())
			other := Open(pool, hanging, nil, zap.NewNop())
			s.timeout = 20 * time.Millisecond
			if err := call(s); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the call returns %v", err)
			}
			s.Close()
			other.Close()
			if next := Open(pool, hanging, nil, zap.NewNop()); next.shared != s.shared {
				t.Error("a call is in progress, and the next config does not count it")
			} else {
				next.Close()
			}
			hanging.letGo()
			soon(t, "it is forgotten", func() bool { _, known = pool.References(s.key); return !known })
		})
	}
}

// TestLockThatComesTooLate is released, because no caller knows of it.
func TestLockThatComesTooLate(t *testing.T) {
	hanging := newHangingStorage(t)
	bounded := impatient(hanging)
	if err := bounded.Lock(t.Context(), "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("locking says %v", err)
	}
	hanging.letGo()
	soon(t, "the lock is given back", func() bool { return hanging.saw("lock", "unlock") })
}

// TestWriteOfACanceledCaller: a write goes on after its caller has canceled.
func TestWriteOfACanceledCaller(t *testing.T) {
	hanging := newHangingStorage(t)
	bounded := openBounded(hanging)
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan error)
	go func() { written <- bounded.Store(ctx, "k", nil) }()
	soon(t, "it has begun", func() bool { return hanging.begun() == 1 })
	cancel()
	if _, err := bounded.Load(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("loading says %v", err)
	}
	hanging.letGo()
	if err := <-written; err != nil {
		t.Errorf("writing says %v", err)
	}
}

// soon waits until something holds.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("not yet: %s", what)
		}
	}
}
