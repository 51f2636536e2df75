// Package store keeps a registry in a storage that several nodes share, such as Caddy's. Its entry point is New. It
// imports internal/registry, internal/envelope, internal/folder, internal/poll and internal/scope of this module.
package store

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
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// timeout bounds how long a lookup, a look or a change waits for the storage. The lock of a writer that died is stale
// after ten seconds in Caddy's file storage.
const timeout = 20 * time.Second

// Store is a registry in a storage that several nodes may share. There is one object for each resource, and one for each
// client with its secrets and grants. Resources are kept in memory. Clients are loaded when they are looked up, and a
// limited number of them is kept.
//
// The next lookup sees a change that is made here. It sees a change of another node after the next Reload. Open is not
// necessary before the first lookup; it tells early whether the storage works.
type Store struct {
	storage Storage
	prefix  string
	// OnFault, if set, is called with errors that no caller gets. It may log them.
	OnFault func(doing string, err error)
	// OnWrite, if set, is called after each attempt to change the registry, before the caller gets the result.
	OnWrite func()

	unauthenticated, known      Lookups // for unauthenticated callers
	lookingUp, decoys, refusing singleflight.Group
	identifying                 singleflight.Group

	clients    *clientCache
	identities *identityCache
	loading    singleflight.Group
	resources  atomic.Pointer[registry.ResourceSet]
	listing    listing
	indexing

	lock       writeLock  // held during a change, against all nodes
	mu         sync.Mutex // held while the journal is followed
	opened     atomic.Bool
	looked     atomic.Int64  // when the last successful look began, in nanoseconds since 1970
	sequence   atomic.Uint64 // of the last change that was followed
	unfinished atomic.Bool   // a change had begun and not ended when the journal was followed
	failures   poll.Failures
	now        func() time.Time
}

// New returns the registry whose keys in the storage begin with the prefix.
func New(storage Storage, prefix string) *Store {
	s := &Store{storage: storage, prefix: prefix, clients: newClientCache(DefaultCacheSize), identities: newIdentityCache(DefaultCacheSize), now: time.Now}
	s.indexFrom, s.pageSize = indexFrom, pageSize
	s.background, s.endBackground = context.WithCancel(context.Background())
	s.SetLookups(allOf{storage}, allOf{storage})
	s.lock = writeLock{storage: storage, name: prefix + "/write", onFault: s.report}
	return s
}

// SetCacheSize sets how many clients are kept in memory. Call it before the first lookup.
func (s *Store) SetCacheSize(size int) {
	s.clients, s.identities = newClientCache(size), newIdentityCache(size)
}

// Open reads the journal and all resources, if they have not been read yet. Its error wraps registry.ErrUnavailable.
func (s *Store) Open(ctx context.Context) error {
	if s.opened.Load() {
		return nil
	}
	_, err := poll.Shared(ctx, &s.loading, "", func(ctx context.Context) (bool, error) { // no client has the id ""
		if s.opened.Load() {
			return false, nil
		}
		return s.look(ctx)
	})
	return err
}

// Opened reports whether the journal and all resources have been read.
func (s *Store) Opened() bool { return s.opened.Load() }

// Client returns a client, or registry.ErrNotFound. Any other error is a fault of the storage or of the client's object.
// It is for callers that have authenticated: its answer shows which clients exist, and its time shows which of them are
// in memory.
func (s *Store) Client(ctx context.Context, id string) (*registry.Client, error) {
	if client, refused := s.clients.get(id, s.now()); client != nil || refused {
		return found(client)
	}
	name, err := clientName(id)
	if err != nil {
		return nil, registry.ErrNotFound
	}
	if err := s.Open(ctx); err != nil { // read the journal first: clients that change after this are dropped
		return nil, err
	}
	client, err := poll.Shared(ctx, &s.loading, id, func(ctx context.Context) (*registry.Client, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
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

func found(client *registry.Client) (*registry.Client, error) {
	switch {
	case client == nil:
		return nil, registry.ErrNotFound
	case client.Damage != nil:
		return nil, client.Damage
	}
	return client, nil
}

// readClient reads a client from storage. It returns nil if there is none.
func (s *Store) readClient(ctx context.Context, name, id string) (*registry.Client, error) {
	key := s.clientKey(name)
	entry, err := loadRecord(ctx, s.storage, key, clientLabel(id))
	if errors.Is(err, registry.ErrNotFound) {
		return nil, s.checkNotLost(ctx)
	}
	if err != nil {
		return nil, err
	}
	client, err := registry.DecodeClient(id, entry)
	if err != nil {
		return nil, broken(key, err)
	}
	return client, nil
}

// Revision returns the number of the last change, of any node, that this one has followed.
func (s *Store) Revision() string { return strconv.FormatUint(s.sequence.Load(), 10) }

// Age returns the time since the last successful look at the storage began. Before the first one, it is the time since
// 1970.
func (s *Store) Age() time.Duration { return s.now().Sub(time.Unix(0, s.looked.Load())) }

// Healthy reports whether the last look at the storage was successful and found no broken resource.
func (s *Store) Healthy() bool { return s.Problem() == "" }

// Problem returns why the registry is not healthy, or "" if it is.
func (s *Store) Problem() string {
	if reason := s.failures.Reason(); reason != "" {
		return reason
	}
	if err := s.Damage(); err != nil {
		return err.Error()
	}
	return ""
}

// Reload takes over the changes of other nodes. It reads one small object, and all resources if one has changed. Clients
// that have changed are dropped from memory, and loaded again when they are looked up.
//
// After an error the loaded content remains. An error is returned once for the same reason. After that Reload returns
// false, nil until something changes.
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

// Look takes over what another Store of the same registry in this process has just changed. Reload does not report such a
// change.
func (s *Store) Look() error {
	_, err := s.lookInTime()
	return err
}

func (s *Store) lookInTime() (changed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.look(ctx)
}

// look follows the journal. If the journal is broken, anything may have changed, so everything is read again.
func (s *Store) look(ctx context.Context) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := s.now()
	j, err := s.loadJournal(ctx)
	if errors.Is(err, registry.ErrBroken) && s.opened.Load() {
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

// follow takes over what the journal says has changed. It is called with mu held.
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
	s.unfinished.Store(j.Pending != nil)
	s.opened.Store(true)
	return changed && !first, nil
}

// renew reads resources again and drops clients from memory.
func (s *Store) renew(ctx context.Context, stale keys) error {
	if stale.All || slices.ContainsFunc(stale.Keys, isResourceKey) || s.Damage() != nil { // a broken one may have been repaired by hand
		if err := s.readResources(ctx); err != nil {
			return err
		}
	}
	if stale.All {
		s.clients.dropAll()
		s.identities.dropAll()
		return nil
	}
	for _, key := range stale.Keys {
		if s.isIdentityKey(key) {
			s.forgetIdentity(key)
		}
	}
	for _, id := range clientsOf(stale) {
		s.forgetClient(id)
	}
	return nil
}

// forgetClient makes the next lookup read the client again, without sharing a lookup that is under way.
func (s *Store) forgetClient(id string) {
	s.clients.drop(id)
	s.loading.Forget(id)
	s.lookingUp.Forget(id)
}

func (s *Store) report(doing string, err error) {
	if s.OnFault != nil {
		s.OnFault(doing, err)
	}
}

func (s *Store) clientKey(name string) string   { return path.Join(s.prefix, "clients", name) }
func (s *Store) resourceKey(name string) string { return path.Join(s.prefix, "resources", name) }

func isResourceKey(key string) bool { return strings.HasSuffix(path.Dir(key), "/resources") }
func isClientKey(key string) bool   { return strings.HasSuffix(path.Dir(key), "/clients") }

// clientName returns the name of a client's record, or a *registry.InvalidError. "." and ".." are not valid, because they
// do not survive in the path of a URL of the admin API.
func clientName(id string) (string, error) {
	if err := registry.CheckClientID(id); err != nil {
		return "", invalid("a client's id: " + err.Error())
	}
	if id == "." || id == ".." {
		return "", invalid(`a client's id: "." and ".." are not for clients in storage`)
	}
	return recordName(id)
}

var _ registry.Registry = (*Store)(nil)
