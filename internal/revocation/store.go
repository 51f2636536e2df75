package revocation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// Storage is where a Store keeps its segments. Store writes an object whole or not at all. Load returns an error that wraps
// fs.ErrNotExist if there is no such object.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, path string, recursive bool) ([]string, error)
	Exists(ctx context.Context, key string) bool
}

var errLost = errors.New("the storage has lost what the issuer had there")

// ErrUnavailable is wrapped by errors of the storage.
var ErrUnavailable = errors.New("revocations are unavailable")

const (
	// storeTimeout bounds how long one read or one change waits for the storage.
	storeTimeout = 20 * time.Second
	// maxAge is how old the last read may be before Fresh returns an error.
	maxAge = 30 * time.Second
	// retryAfter is how long the error of a failed Open is returned before the storage is read again.
	retryAfter = time.Second
	// sweepInterval is how often entries that are over are removed from memory and storage.
	sweepInterval = time.Minute
	// clockMargin is how far the clocks of two nodes may differ for a feed to have all that is new.
	clockMargin = 2 * time.Minute
)

// Store holds the revocations of one issuer in a storage that several nodes may share. What this node revokes is in force
// at once, and what another node revokes is in force after the next Reload. Calling Open is optional: it shows early
// whether the storage works. A Store is safe for concurrent use.
type Store struct {
	storage Storage
	folder  string
	writer  string // names this process among the nodes
	// OnFault, if set, is called with errors that no caller gets, so that they can be logged.
	OnFault func(doing string, err error)
	// OnRestored, if set, is called with the number of entries that the storage had lost and that were stored again.
	OnRestored func(entries int)
	// Present, if set, reports whether the storage still has an object that it must have. If it has not, it may be the empty
	// folder below a lost mount, and having no revocations means nothing.
	Present func(context.Context) bool

	set       atomic.Pointer[Set] // nil before the first read
	opening   singleflight.Group
	failure   atomic.Pointer[failure]
	changes   atomic.Uint64
	looked    atomic.Int64 // when the last successful read began, in nanoseconds since 1970
	failures  poll.Failures
	damage    atomic.Pointer[string]
	deletions poll.Failures // to delete objects

	reading  sync.Mutex        // one read at a time; guards what follows
	known    map[string]bool   // the segments that were read
	broken   map[string]string // why segments are broken
	spoiled  map[string]bool   // broken segments that were read when they were whole
	swept    time.Time
	began    time.Time   // when the last read began, by the wall clock
	pass     *pass       // nil between two passes
	verified time.Time   // when the last pass began
	rewrite  atomic.Bool // a pass is due that stores again what is left of segments with redundant entries

	adding  sync.Mutex // guards changes of set, and what follows
	opened  time.Time  // when set was first stored
	pending []Entry    // merged before that, or found by reads that failed
	recent  []learned  // what was added later, the newest last
	shares  shares     // of set
	queue   queue
	now     func() time.Time
}

type failure struct {
	err error
	at  time.Time
}

// learned holds the entries that became known at a moment.
type learned struct {
	at      time.Time
	entries []Entry
}

// NewStore returns a store that keeps its objects below a folder of the storage.
func NewStore(storage Storage, folder string) *Store {
	s := &Store{storage: storage, folder: folder, writer: strings.ToLower(rand.Text()[:16]), now: time.Now}
	s.known, s.broken, s.spoiled = make(map[string]bool), make(map[string]string), make(map[string]bool)
	return s
}

// Open reads what is revoked, unless that was done before. Its error wraps ErrUnavailable.
func (s *Store) Open(ctx context.Context) error {
	if s.isOpen() {
		return nil
	}
	if failed := s.failure.Load(); failed != nil && s.now().Sub(failed.at) < retryAfter {
		return failed.err
	}
	_, err := poll.Shared(ctx, &s.opening, "", func(context.Context) (none struct{}, _ error) {
		if s.isOpen() {
			return none, nil
		}
		err := s.readFirst()
		if err != nil {
			s.failure.Store(&failure{err, s.now()})
			s.tell("reading revocations", err)
		}
		return none, err
	})
	return err
}

// readFirst reads all segments, again after a timeout for as long as each attempt finds some.
func (s *Store) readFirst() error {
	for {
		read, err := s.readInTime()
		if err == nil || read == 0 || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		s.tell("reading all revocations in time", err)
	}
}

// isOpen reports whether the first read has ended. What it found is in set a little earlier.
func (s *Store) isOpen() bool { return s.set.Load() != nil && s.looked.Load() != 0 }

// Revoked reports whether a token is revoked. Once the store is open it reads only memory and returns no error.
func (s *Store) Revoked(ctx context.Context, id, clientID string, issued time.Time) (bool, error) {
	set := s.set.Load()
	if set == nil {
		if err := s.Open(ctx); err != nil {
			return false, err
		}
		set = s.set.Load()
	}
	return set.Revoked(id, clientID, issued), nil
}

// Set returns what is known to be revoked, or nil before the first read.
func (s *Store) Set() *Set { return s.set.Load() }

// Fresh returns an error if revocations by other nodes may be unknown here, apart from those since the last poll.
func (s *Store) Fresh() error {
	if reason := s.failures.Reason(); reason != "" {
		return errors.New(reason)
	}
	if age := s.Age(); age > maxAge {
		return fmt.Errorf("%w: the last successful read was %s ago", ErrUnavailable, age.Round(time.Second))
	}
	return nil
}

// Age returns how long ago the last successful read began. Before the first one that is the time since 1970.
func (s *Store) Age() time.Duration { return s.now().Sub(time.Unix(0, s.looked.Load())) }

// Healthy reports whether the last read succeeded and no segment is broken.
func (s *Store) Healthy() bool { return s.Problem() == "" }

// Problem returns why the store is not healthy, or "" if it is.
func (s *Store) Problem() string {
	if err := s.Complete(); err != nil {
		return err.Error()
	}
	return ""
}

// Complete returns an error if revocations may be unknown here: that of Fresh, or that a segment is broken.
func (s *Store) Complete() error {
	if err := s.Fresh(); err != nil {
		return err
	}
	if damage := s.damage.Load(); damage != nil {
		return errors.New(*damage)
	}
	return nil
}

// Reload lists the segments and reads the new ones, to learn what other nodes have revoked. After an error what is known
// stays in force. The same error is returned only once in a row.
func (s *Store) Reload() error {
	_, err := s.readInTime()
	if err == nil {
		s.failures.Succeeded()
		return nil
	}
	if !s.failures.Failed(err) {
		return nil
	}
	return err
}

func (s *Store) readInTime() (read int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.readAll(ctx)
}

// add adds the entries that are not over at a moment to memory.
func (s *Store) add(entries []Entry, at time.Time) {
	s.adding.Lock()
	defer s.adding.Unlock()
	s.addLocked(entries, at)
}

func (s *Store) addLocked(entries []Entry, at time.Time) {
	set := s.set.Load()
	all := slices.Concat(entries, s.pending)
	next := set.with(all, at)
	s.note(set, next, entries, at)
	s.set.Store(next)
	s.shares.count(set, next, all)
	s.pending = nil
}

// Merge puts entries in force that another store of the same issuer in this process has just stored. That other store is
// of the config that replaces this one, or is replaced by it.
func (s *Store) Merge(entries ...Entry) {
	s.adding.Lock()
	defer s.adding.Unlock()
	if s.set.Load() == nil {
		s.pending = append(s.pending, entries...) // the first read may have begun before they were stored
		return
	}
	s.addLocked(entries, s.now())
}

// note records which entries are new for as long as a feed can start with them.
func (s *Store) note(set, next *Set, entries []Entry, at time.Time) {
	now := s.now()
	if set == nil {
		s.opened = now
		return
	}
	oldest := now.Add(-feedWindow - clockMargin)
	s.recent = slices.DeleteFunc(s.recent, func(l learned) bool { return l.at.Before(oldest) })
	fresh := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		return over(e.Expires.Unix(), at) || set.knows(e) || next.redundant(e)
	})
	if slices.ContainsFunc(fresh, func(e Entry) bool { return e.ClientID != "" }) { // who reads from here on learns of the client
		for n, l := range s.recent {
			s.recent[n].entries = slices.DeleteFunc(slices.Clone(l.entries), next.redundant)
		}
	}
	if len(fresh) > 0 {
		s.recent = append(s.recent, learned{now, fresh})
		s.changes.Add(1)
	}
}

// Changes returns how many times entries became known.
func (s *Store) Changes() uint64 { return s.changes.Load() }

// checkPresent fails if the storage has lost what it had, as Present says.
func (s *Store) checkPresent(ctx context.Context) error {
	if s.Present != nil && !s.Present(ctx) {
		return unavailable("looking into "+s.folder, errLost)
	}
	return nil
}

func (s *Store) tell(doing string, err error) {
	if s.OnFault != nil {
		s.OnFault(doing, err)
	}
}

func unavailable(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
}

func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
