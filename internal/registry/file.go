package registry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// File is the registry of a file, as it was when Reload last found it whole. Lookups wait for
// nothing, not even for a Reload.
type File struct {
	path    string
	current atomic.Pointer[Snapshot]

	mu         sync.Mutex // one Reload at a time
	seen       stamp
	settling   settling
	loaded     [sha256.Size]byte  // content of current
	broken     *[sha256.Size]byte // content that was reported, until a good one is read
	why        string             // what is wrong with that
	unreadable string             // why the file could not be read, as it was reported
	sound      time.Time          // when the file last held what is current
	now        func() time.Time
}

// OpenFile reads a registry file, as Parse does. The path may be a symlink, also one that will
// point elsewhere later, as those of a Kubernetes ConfigMap. A file that was written within the
// last seconds it reads twice, to see that nobody writes on; one that keeps changing is an error.
func OpenFile(path string) (*File, error) { return openSettled(path, time.Now, time.Sleep) }

// openSettled waits for content that stands; Reload ends that with an error when there is none.
func openSettled(path string, now func() time.Time, sleep func(time.Duration)) (*File, error) {
	f := &File{path: path, now: now}
	for {
		changed, err := f.Reload()
		if err != nil {
			return nil, err
		}
		if changed {
			return f, nil
		}
		sleep(settleTime)
	}
}

// Reload looks whether the file changed and reads it if it did. It can be called several times
// a second: while size, modification time and identity of the file are the same, it does no more
// than ask for them.
//
// New content is taken, or found broken, once it has stood still: when two looks in a row, a tenth
// of a second apart or more, see the same, or when the file was last written seconds ago.
//
// An error leaves what was loaded. It is returned once for the same broken content, or for the same
// reason that the file cannot be read; after that Reload answers false, nil until something changes.
//
// Whoever changes the file should write another and rename it over this one: a file that is left
// half written for longer may be whole as far as it goes.
func (f *File) Reload() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if changed, err = f.look(); f.problem() == "" {
		f.sound = f.now()
	}
	return changed, err
}

func (f *File) look() (changed bool, err error) {
	info, err := statRegular(f.path)
	if err != nil {
		return false, f.reportUnreadable(err)
	}
	if f.seen.holds(info) {
		f.unreadable = ""
		return false, nil
	}
	data, seen, err := readStamped(f.path, f.now)
	if err != nil {
		return false, f.reportUnreadable(err)
	}
	f.seen = seen
	return f.take(data)
}

// Healthy reports whether what is current is what the file last held; it is not while the file is
// broken or cannot be read.
func (f *File) Healthy() bool { return f.Problem() == "" }

// Problem says why the file is not healthy; "" is that it is.
func (f *File) Problem() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.problem()
}

// Age is how long ago the file was last seen to hold what is current.
func (f *File) Age() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now().Sub(f.sound)
}

func (f *File) problem() string {
	if f.unreadable == "" && f.broken != nil {
		return f.why
	}
	return f.unreadable
}

// take makes data, which was just seen, current, unless it is already, is broken or may be half.
func (f *File) take(data []byte) (changed bool, err error) {
	sum := sha256.Sum256(data)
	if !f.isKnown(sum) && !f.settling.isOver(sum, f.seen) {
		return false, f.reportRestless()
	}
	f.settling, f.unreadable = settling{}, ""
	return f.load(data, sum)
}

// isKnown reports whether content is what is current, or what was last found broken.
func (f *File) isKnown(sum [sha256.Size]byte) bool {
	return f.isCurrent(sum) || f.broken != nil && sum == *f.broken
}

func (f *File) isCurrent(sum [sha256.Size]byte) bool {
	return f.current.Load() != nil && sum == f.loaded
}

func (f *File) load(data []byte, sum [sha256.Size]byte) (changed bool, err error) {
	if f.isCurrent(sum) {
		f.broken = nil
		return false, nil
	}
	if f.isKnown(sum) {
		return false, nil
	}
	snapshot, err := Parse(f.path, data)
	if err != nil {
		f.broken, f.why = &sum, err.Error()
		return false, err
	}
	f.current.Store(snapshot)
	f.loaded, f.broken = sum, nil
	return true, nil
}

func (f *File) reportRestless() error {
	if !f.settling.isRestless(f.seen.read) {
		return nil
	}
	return f.reportUnreadable(&FileError{File: f.path, Msg: restless})
}

func (f *File) reportUnreadable(err error) error {
	if err.Error() == f.unreadable {
		return nil
	}
	f.unreadable = err.Error()
	return fmt.Errorf("reading the registry file: %w", err)
}

// Client returns a client, or ErrNotFound.
func (f *File) Client(ctx context.Context, id string) (*Client, error) {
	return f.current.Load().Client(ctx, id)
}

// Authenticate returns the client whose secret this is, and the ID of the secret, or ErrRefused.
func (f *File) Authenticate(ctx context.Context, id, secret string, now time.Time) (*Client, string, error) {
	return f.current.Load().Authenticate(ctx, id, secret, now)
}

// Resource returns a resource, or ErrNotFound.
func (f *File) Resource(ctx context.Context, code string) (*Resource, error) {
	return f.current.Load().Resource(ctx, code)
}

// Resources returns all resources, sorted by code.
func (f *File) Resources(ctx context.Context) ([]*Resource, error) {
	return f.current.Load().Resources(ctx)
}

// ClientIDs lists client_ids in the order of their bytes.
func (f *File) ClientIDs(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	return f.current.Load().ClientIDs(ctx, prefix, after, limit)
}

// Revision is that of the Snapshot which is current.
func (f *File) Revision() string { return f.current.Load().Revision() }
