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

// Storage is where a Store keeps its segments. An object is written whole or not at all. Load returns
// an error that is fs.ErrNotExist for what is not there.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, path string, recursive bool) ([]string, error)
	Exists(ctx context.Context, key string) bool
}

var errLost = errors.New("the storage has lost what the issuer had there")

// ErrUnavailable is wrapped by errors that are the storage's fault.
var ErrUnavailable = errors.New("revocations are unavailable")

const (
	// storeTimeout bounds what one look or one change waits for the storage.
	storeTimeout = 20 * time.Second
	// maxAge is how old the last look may be before Fresh complains: one hangs, or nobody looks.
	maxAge = 30 * time.Second
	// retryAfter is how long a failed first look is remembered before the storage is asked again.
	retryAfter = time.Second
	// sweepInterval is how often memory and storage let go of what is over.
	sweepInterval = time.Minute
	// clockMargin is how far the clocks of two nodes may be apart before a feed has to say more than is new.
	clockMargin = 2 * time.Minute
)

// Store is the revocations of one issuer, in a storage that several nodes may share. What is revoked
// here is in force at once; what another node has revoked is once Reload has looked. Before the first
// lookup it needs no Open, which only tells early whether the storage works. It is safe for concurrent
// use.
type Store struct {
	storage Storage
	folder  string
	writer  string // names this process among the nodes
	// OnFault, if it is set, is told of errors that nobody else is: it may log them.
	OnFault func(doing string, err error)
	// OnRestored, if it is set, is told how many entries were stored again that the storage had lost.
	OnRestored func(entries int)
	// Present, if it is set, reports whether the storage has what it certainly had. Where it has not, it is not the one
	// that it was, as a folder is on which nothing is mounted any more: that there are no revocations means nothing then.
	Present func(context.Context) bool

	set       atomic.Pointer[Set] // nil before the first look
	opening   singleflight.Group
	failure   atomic.Pointer[failure]
	changes   atomic.Uint64
	looked    atomic.Int64 // when the last look that worked began, in nanoseconds since 1970
	failures  poll.Failures
	damage    atomic.Pointer[string]
	deletions poll.Failures // why an object was not deleted

	looking  sync.Mutex        // one look at a time; guards what follows
	known    map[string]bool   // the segments that were read
	broken   map[string]string // those that cannot be, and why
	spoilt   map[string]bool   // those of them that were read before
	swept    time.Time
	began    time.Time // when the last look did, by the clock on the wall
	pass     *pass     // nil between two of them
	verified time.Time // when the last pass began

	adding sync.Mutex // guards the change of set, and what follows
	opened time.Time  // when set was first there
	early  []Entry    // what was told before that, or read by looks that failed
	recent []learnt   // what came to it later, the newest last
	queue  queue
	now    func() time.Time
}

type failure struct {
	err error
	at  time.Time
}

// learnt is what became known at a moment.
type learnt struct {
	at      time.Time
	entries []Entry
}

// NewStore is the revocations whose objects have keys below the folder.
func NewStore(storage Storage, folder string) *Store {
	s := &Store{storage: storage, folder: folder, writer: strings.ToLower(rand.Text()[:16]), now: time.Now}
	s.known, s.broken, s.spoilt = make(map[string]bool), make(map[string]string), make(map[string]bool)
	return s
}

// Open reads what is revoked, if that has not been done yet. Its error is ErrUnavailable.
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
		err := s.lookFirst()
		if err != nil {
			s.failure.Store(&failure{err, s.now()})
			s.tell("reading revocations", err)
		}
		return none, err
	})
	return err
}

// lookFirst is a first look. What one does not get to in its time the next one reads, as long as each of them gets on.
func (s *Store) lookFirst() error {
	for {
		read, err := s.lookInTime()
		if err == nil || read == 0 || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		s.tell("reading all revocations in time", err)
	}
}

// isOpen reports whether the first look has come to its end: what it found is there a little sooner.
func (s *Store) isOpen() bool { return s.set.Load() != nil && s.looked.Load() != 0 }

// Revoked reports whether a token may no longer be used. Once the store is open it has no error, and
// looks at nothing but memory.
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

// Set is what is known to be revoked; nil before the first look.
func (s *Store) Set() *Set { return s.set.Load() }

// Fresh says why what other nodes have revoked may not be known here; nil is that it is, but for the
// time between two looks.
func (s *Store) Fresh() error {
	if reason := s.failures.Reason(); reason != "" {
		return errors.New(reason)
	}
	if age := s.Age(); age > maxAge {
		return fmt.Errorf("%w: the last look that worked was %s ago", ErrUnavailable, age.Round(time.Second))
	}
	return nil
}

// Age is how long ago the last look that worked began. Before the first one it is how long ago 1970 was.
func (s *Store) Age() time.Duration { return s.now().Sub(time.Unix(0, s.looked.Load())) }

// Healthy reports whether the last look worked, and no segment is broken.
func (s *Store) Healthy() bool { return s.Problem() == "" }

// Problem says why the store is not healthy; "" is that it is.
func (s *Store) Problem() string {
	if err := s.Complete(); err != nil {
		return err.Error()
	}
	return ""
}

// Complete says why what is revoked may not all be known here: what Fresh does, or that a segment is broken.
func (s *Store) Complete() error {
	if err := s.Fresh(); err != nil {
		return err
	}
	if damage := s.damage.Load(); damage != nil {
		return errors.New(*damage)
	}
	return nil
}

// Reload looks for what other nodes have revoked. It lists the segments and reads those that are new.
// An error leaves what is known, and is returned once for the same reason.
func (s *Store) Reload() error {
	_, err := s.lookInTime()
	if err == nil {
		s.failures.Succeeded()
		return nil
	}
	if !s.failures.Failed(err) {
		return nil
	}
	return err
}

func (s *Store) lookInTime() (read int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.look(ctx)
}

// add takes entries into memory that are not over at that moment.
func (s *Store) add(entries []Entry, at time.Time) {
	s.adding.Lock()
	defer s.adding.Unlock()
	s.addLocked(entries, at)
}

func (s *Store) addLocked(entries []Entry, at time.Time) {
	set := s.set.Load()
	s.note(set, entries, at)
	s.set.Store(set.with(slices.Concat(entries, s.early), at))
	s.early = nil
}

// Merge puts in force what another store of the same revocations, in this process, has just revoked: that of a config
// that replaces another, or is replaced. It is in storage already.
func (s *Store) Merge(entries ...Entry) {
	s.adding.Lock()
	defer s.adding.Unlock()
	if s.set.Load() == nil {
		s.early = append(s.early, entries...) // the first look may have begun before these were there
		return
	}
	s.addLocked(entries, s.now())
}

// note keeps what is new, and not over at that moment, for as long as a feed tells it apart.
func (s *Store) note(set *Set, entries []Entry, at time.Time) {
	now := s.now()
	if set == nil {
		s.opened = now
		return
	}
	oldest := now.Add(-feedWindow - clockMargin)
	s.recent = slices.DeleteFunc(s.recent, func(l learnt) bool { return l.at.Before(oldest) })
	fresh := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return over(e.Expires.Unix(), at) || set.knows(e) })
	if len(fresh) > 0 {
		s.recent = append(s.recent, learnt{now, fresh})
		s.changes.Add(1)
	}
}

// Changes counts how often something became known.
func (s *Store) Changes() uint64 { return s.changes.Load() }

// checkPresent fails when the storage is not the one that it was.
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
