// Package file follows a registry file as it changes. Its entry point is Open. It imports internal/registry
// and internal/poll of this module.
package file

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// File is a registry in a file, with the content that Reload last found valid. Lookups never wait, not even for a Reload.
type File struct {
	path    string
	current atomic.Pointer[registry.Snapshot]

	mu         sync.Mutex // held by Reload
	seen       stamp
	debounce   debounce
	loaded     [sha256.Size]byte  // the hash of current's content
	broken     *[sha256.Size]byte // the hash of content that was reported as broken, until good content is read
	why        string             // what is wrong with the broken content
	unreadable poll.Failures      // to read the file
	sound      time.Time          // when the file last held what is current
	now        func() time.Time
}

var _ registry.Registry = (*File)(nil)

// Open reads a registry file with registry.Parse. The path may be a symlink whose target changes later, such as those of
// a Kubernetes ConfigMap. Open reads a file that was written in the last seconds twice, to see that no write is under
// way. A file that keeps changing is an error.
func Open(path string) (*File, error) { return open(path, time.Now, time.Sleep) }

// open looks until the content stays the same. If it never does, Reload returns an error in the end.
func open(path string, now func() time.Time, sleep func(time.Duration)) (*File, error) {
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

// Reload reads the file if it has changed. It can be called several times a second: while the size, modification time and
// identity of the file stay the same, it does not read the file.
//
// New content is taken, or reported as broken, once it stays the same: when two looks in a row, at least a tenth of a
// second apart, see the same, or when the file was last written seconds ago.
//
// After an error the former content remains. The error is returned once for the same broken content, and once for the
// same reason that the file cannot be read. After that Reload returns false, nil until something changes.
//
// Programs that change the file should write another file and rename it over this one. Half a file that stays for longer
// may be taken, if it is valid.
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
		f.unreadable.Succeeded()
		return false, nil
	}
	data, seen, err := readStamped(f.path, f.now)
	if err != nil {
		return false, f.reportUnreadable(err)
	}
	f.seen = seen
	return f.take(data)
}

// Healthy reports whether the current content is that of the file. It is not while the file is broken or cannot be read.
func (f *File) Healthy() bool { return f.Problem() == "" }

// Problem returns why the file is not healthy, or "" if it is.
func (f *File) Problem() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.problem()
}

// Age returns how long ago the file was last seen to hold the current content.
func (f *File) Age() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now().Sub(f.sound)
}

func (f *File) problem() string {
	if reason := f.unreadable.Reason(); reason != "" || f.broken == nil {
		return reason
	}
	return f.why
}

// take makes the data current, unless it already is, is broken or may be incomplete.
func (f *File) take(data []byte) (changed bool, err error) {
	sum := sha256.Sum256(data)
	if !f.isKnown(sum) && !f.debounce.isOver(sum, f.seen) {
		if !f.debounce.isRestless(f.seen.read) {
			return false, nil
		}
		return false, f.reportUnreadable(&registry.FileError{File: f.path, Msg: restless})
	}
	f.debounce = debounce{}
	f.unreadable.Succeeded()
	return f.load(data, sum)
}

// isKnown reports whether the content is current, or was last found broken.
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
	snapshot, err := registry.Parse(f.path, data)
	if err != nil {
		f.broken, f.why = &sum, err.Error()
		return false, err
	}
	f.current.Store(snapshot)
	f.loaded, f.broken = sum, nil
	return true, nil
}

func (f *File) reportUnreadable(err error) error {
	if !f.unreadable.Failed(err) {
		return nil
	}
	return err
}

// Client returns a client, or ErrNotFound.
func (f *File) Client(ctx context.Context, id string) (*registry.Client, error) {
	return f.current.Load().Client(ctx, id)
}

// AuthenticateBy returns the client if the proof is its own, or else a *registry.Refusal.
func (f *File) AuthenticateBy(ctx context.Context, id string, proof registry.Proof, now time.Time) (*registry.Client, error) {
	return f.current.Load().AuthenticateBy(ctx, id, proof, now)
}

// ClientsFor returns the clients that have an identity which covers the subject of the issuer.
func (f *File) ClientsFor(ctx context.Context, issuer, subject string) ([]*registry.Client, error) {
	return f.current.Load().ClientsFor(ctx, issuer, subject)
}

// Authenticate returns the client whose secret this is, and the ID of the secret, or a *registry.Refusal.
func (f *File) Authenticate(ctx context.Context, id, secret string, now time.Time) (*registry.Client, string, error) {
	return f.current.Load().Authenticate(ctx, id, secret, now)
}

// Resource returns a resource, or ErrNotFound.
func (f *File) Resource(ctx context.Context, code string) (*registry.Resource, error) {
	return f.current.Load().Resource(ctx, code)
}

// Resources returns all resources, sorted by code.
func (f *File) Resources(ctx context.Context) ([]*registry.Resource, error) {
	return f.current.Load().Resources(ctx)
}

// ClientIDs lists client_ids in the order of their bytes.
func (f *File) ClientIDs(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	return f.current.Load().ClientIDs(ctx, prefix, after, limit)
}

// Unused returns the first ten clients that have credentials which they may not use, sorted by id.
func (f *File) Unused() []*registry.Client { return f.current.Load().Unused() }

// Excluded returns how many clients have only credentials for methods that takes excludes, and the ids of the first ten of them.
func (f *File) Excluded(takes func(method string) bool) (ids []string, count int) {
	return f.current.Load().Excluded(takes)
}

// Revision returns the revision of the current content.
func (f *File) Revision() string { return f.current.Load().Revision() }

// Plan returns what replacing the content of this file by that of another would change; see registry.Base.
func (f *File) Plan(ctx context.Context, name string, data []byte, prune bool) ([]registry.Change, error) {
	return f.current.Load().Plan(ctx, name, data, prune)
}
