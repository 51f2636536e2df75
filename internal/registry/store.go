package registry

import (
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// storeTimeout bounds what one lookup, look or change waits for the storage. A lock that a dead
// writer left behind is stale after ten seconds in Caddy's file storage.
const storeTimeout = 20 * time.Second

// Store is the registry in a storage that several nodes may share: one object for each resource, and
// one for each client with its secrets and grants. Resources are held in memory; clients are loaded
// when they are asked for, and a bounded number of them is kept.
//
// A change that is made here is seen by the next lookup; one of another node is seen once Reload has
// looked. Before the first lookup it needs no Open, which only tells early whether the storage works.
type Store struct {
	storage Storage
	prefix  string
	// OnFault, if it is set, is told of errors that nobody else is: it may log them.
	OnFault func(doing string, err error)
	// OnWrite, if it is set, is called after each change, whatever came of it, and before who asked for it has the
	// answer.
	OnWrite func()

	strangers, known            Lookups // for callers that have not authenticated
	lookingUp, decoys, refusing singleflight.Group

	clients   *clientCache
	loading   singleflight.Group
	resources atomic.Pointer[resourceSet]
	listing   listing

	lease    lease      // one change at a time, of all nodes
	mu       sync.Mutex // guards following the journal
	opened   atomic.Bool
	looked   atomic.Int64  // when the last look that worked began, in nanoseconds since 1970
	sequence atomic.Uint64 // of the journal that was followed last
	failures poll.Failures
	now      func() time.Time
}

// NewStore is the registry whose objects have keys that begin with the prefix.
func NewStore(storage Storage, prefix string) *Store {
	s := &Store{storage: storage, prefix: prefix, clients: newClientCache(DefaultCacheSize), now: time.Now}
	s.SetLookups(allOf{storage}, allOf{storage})
	s.lease = lease{storage: storage, name: prefix + "/write", tell: s.tell}
	return s
}

// SetCacheSize sets how many clients are kept in memory. It is for before the first lookup.
func (s *Store) SetCacheSize(size int) { s.clients = newClientCache(size) }

// Open reads the journal and all resources, if they have not been read yet. Its error is
// ErrUnavailable.
func (s *Store) Open(ctx context.Context) error {
	if s.opened.Load() {
		return nil
	}
	_, err := poll.Shared(ctx, &s.loading, "", func(ctx context.Context) (bool, error) { // no client has that id
		if s.opened.Load() {
			return false, nil
		}
		return s.look(ctx)
	})
	return err
}

// Opened reports whether the journal and all resources have been read.
func (s *Store) Opened() bool { return s.opened.Load() }

// Client returns a client, or ErrNotFound. Any other error is a fault of the storage, or of the one
// object. It is for callers that have authenticated: its answer shows which clients exist, and its time shows which are
// in memory.
func (s *Store) Client(ctx context.Context, id string) (*Client, error) {
	if client, refused := s.clients.get(id, s.now()); client != nil || refused {
		return found(client)
	}
	name, err := clientName(id)
	if err != nil {
		return nil, ErrNotFound
	}
	if err := s.Open(ctx); err != nil { // first the journal: what changes after this is dropped again
		return nil, err
	}
	client, err := poll.Shared(ctx, &s.loading, id, func(ctx context.Context) (*Client, error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		generation := s.clients.generation.Load()
		client, err := s.readClient(ctx, name, id)
		switch {
		case err != nil:
		case client == nil:
			s.clients.refuse(generation, id, nil, s.now())
		default:
			s.clients.put(generation, id, client)
		}
		return client, err
	})
	if err != nil {
		return nil, err
	}
	return found(client)
}

func found(client *Client) (*Client, error) {
	switch {
	case client == nil:
		return nil, ErrNotFound
	case client.Damage != nil:
		return nil, client.Damage
	}
	return client, nil
}

// readClient reads a client from storage; nil is none.
func (s *Store) readClient(ctx context.Context, name, id string) (*Client, error) {
	key := s.clientKey(name)
	entry, err := loadRecord(ctx, s.storage, key, clientLabel(id))
	if errors.Is(err, ErrNotFound) {
		return nil, s.checkThere(ctx)
	}
	if err != nil {
		return nil, err
	}
	client, err := decodeClient(id, entry)
	if err != nil {
		return nil, broken(key, err)
	}
	return client, nil
}

// Revision is the number of the last change, of all nodes, that this one has followed.
func (s *Store) Revision() string { return strconv.FormatUint(s.sequence.Load(), 10) }

// Age is how long ago the last look at the storage that worked began. Before the first one it is how long ago 1970 was.
func (s *Store) Age() time.Duration { return s.now().Sub(time.Unix(0, s.looked.Load())) }

// Healthy reports whether the last look at the storage worked, and found no resource that is broken.
func (s *Store) Healthy() bool { return s.Problem() == "" }

// Problem says why the registry is not healthy; "" is that it is.
func (s *Store) Problem() string {
	if reason := s.failures.Reason(); reason != "" {
		return reason
	}
	if err := s.Damage(); err != nil {
		return err.Error()
	}
	return ""
}

// Reload looks what other nodes have changed. It reads one small object, and resources when they
// changed; clients that changed are dropped from memory, and loaded again by who asks for them.
//
// An error leaves what was loaded, and is returned once for the same reason; after that Reload
// answers false, nil until something changes.
func (s *Store) Reload() (changed bool, err error) {
	changed, err = s.lookInTime()
	if err == nil {
		s.failures.Succeeded()
		return changed, nil
	}
	if !s.failures.Failed(err) {
		return false, nil
	}
	return false, err
}

// Look takes what another Store of the same registry, in this process, has just changed. It is no news to anybody, so
// that Reload does not tell it again.
func (s *Store) Look() error {
	_, err := s.lookInTime()
	return err
}

func (s *Store) lookInTime() (changed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.look(ctx)
}

// look follows the journal. What a broken one tells is not known: it may be anything, so that all is read anew.
func (s *Store) look(ctx context.Context) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := s.now()
	j, err := s.loadJournal(ctx)
	if errors.Is(err, errBroken) && s.opened.Load() {
		return false, errors.Join(err, s.renew(ctx, keys{All: true}))
	}
	if err != nil {
		return false, err
	}
	if changed, err = s.follow(ctx, j); err == nil {
		s.looked.Store(began.UnixNano())
	}
	return changed, err
}

// follow takes what a journal says has changed. It is called with mu held.
func (s *Store) follow(ctx context.Context, j *journal) (changed bool, err error) {
	first := !s.opened.Load()
	stale := j.since(s.sequence.Load())
	if first {
		stale = keys{All: true}
	}
	if err := s.renew(ctx, stale); err != nil {
		return false, err
	}
	changed = s.sequence.Swap(j.Sequence) != j.Sequence
	s.opened.Store(true)
	return changed && !first, nil
}

// renew reads resources anew, and drops clients from memory.
func (s *Store) renew(ctx context.Context, stale keys) error {
	if stale.All || slices.ContainsFunc(stale.Keys, isResourceKey) || s.Damage() != nil { // it may be repaired by hand
		if err := s.readResources(ctx); err != nil {
			return err
		}
	}
	if stale.All {
		s.clients.dropAll()
		return nil
	}
	for _, key := range stale.Keys {
		if id, ok := recordID(key); ok && !isResourceKey(key) {
			s.forgetClient(id)
		}
	}
	return nil
}

// forgetClient makes the next lookup read the client anew, and not wait for one that is under way.
func (s *Store) forgetClient(id string) {
	s.clients.drop(id)
	s.loading.Forget(id)
	s.lookingUp.Forget(id)
}

func (s *Store) tell(doing string, err error) {
	if s.OnFault != nil {
		s.OnFault(doing, err)
	}
}

func (s *Store) clientKey(name string) string   { return path.Join(s.prefix, "clients", name) }
func (s *Store) resourceKey(name string) string { return path.Join(s.prefix, "resources", name) }

func isResourceKey(key string) bool { return strings.HasSuffix(path.Dir(key), "/resources") }

// clientName is the name of a client's record, or an *InvalidError. "." and ".." would be lost on the
// way of a URL to the admin API.
func clientName(id string) (string, error) {
	if err := CheckClientID(id); err != nil {
		return "", &InvalidError{Problems: []string{"a client's id: " + err.Error()}}
	}
	if id == "." || id == ".." {
		return "", &InvalidError{Problems: []string{`a client's id: "." and ".." are not for clients in storage`}}
	}
	return recordName(id)
}

var _ Registry = (*Store)(nil)
