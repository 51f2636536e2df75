package policy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// maxKeptHeader is more than the first line of a kept bundle ever has.
const maxKeptHeader = 16 << 10

// keptBundle is a bundle as it is kept: a line of JSON that says what it is, and the bundle as it came.
type keptBundle struct {
	Where      string    `json:"where"`
	URLSHA256  string    `json:"url_sha256"` // of the whole URL, which may hold what nobody should read
	SHA256     string    `json:"sha256"`     // of the bundle
	ETag       string    `json:"etag,omitempty"`
	Downloaded time.Time `json:"downloaded"`

	sum        content
	compressed []byte
}

func (k *keptBundle) encode() ([]byte, error) {
	line, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	return append(append(line, '\n'), k.compressed...), nil
}

func decodeKept(object []byte) (*keptBundle, error) {
	if len(object) > maxCompressed+maxKeptHeader {
		return nil, errTooLarge
	}
	line, compressed, found := bytes.Cut(object, []byte("\n"))
	k := new(keptBundle)
	if !found || json.Unmarshal(line, k) != nil {
		return nil, errors.New("it is no bundle that was kept here")
	}
	k.compressed, k.sum = compressed, sha256.Sum256(compressed)
	if hex.EncodeToString(k.sum[:]) != k.SHA256 {
		return nil, errors.New("its checksum is wrong")
	}
	return k, nil
}

// kept is the last good bundle in the store.
type kept struct {
	cfg BundleConfig
	// pending is what is still to be stored.
	pending *keptBundle
	stored  content // the last that was

	loading singleflight.Group
	looked  atomic.Pointer[time.Time]
	found   *keptBundle // what was found and is in force; guarded by the engine's watch
}

// next is what save is to store.
func (k *kept) next(b *keptBundle) {
	if k.cfg.Store == nil || b.sum == k.stored {
		k.pending = nil
		return
	}
	b.URLSHA256, b.SHA256 = hashText(k.cfg.Location), hex.EncodeToString(b.sum[:])
	k.pending = b
}

// save stores what is pending. What the store does not take is tried again after the next download.
func (k *kept) save(ctx context.Context) {
	if k.pending == nil {
		return
	}
	object, err := k.pending.encode()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, k.cfg.pace.storage)
		defer cancel()
		err = k.cfg.Store.Store(ctx, object)
	}
	if err != nil {
		k.cfg.OnFault("keeping the policy bundle", err)
		return
	}
	k.pending, k.stored = nil, k.pending.sum
}

// firstBundle is for a decision that comes before there is a policy: a server may serve before Start. The kept
// bundle is looked for once, however many ask, and not again for a while when that came to nothing.
func (e *Engine) firstBundle(ctx context.Context) (*snapshot, error) {
	k := &e.bundle.remote.kept
	if looked := k.looked.Load(); looked == nil || time.Since(*looked) > k.cfg.pace.again {
		timer := time.NewTimer(e.cfg.Timeout)
		defer timer.Stop()
		done := k.loading.DoChan("", func() (any, error) { return e.loadKept(context.WithoutCancel(ctx)), nil })
		select {
		case <-done:
		case <-timer.C:
		case <-ctx.Done():
			return nil, &Error{Canceled, ctx.Err()}
		}
	}
	if s := e.current.Load(); s != nil {
		return s, nil
	}
	return nil, &Error{NotReady, errors.New("no policy bundle has come yet")}
}

// restore has the kept bundle in force if there is nothing else, and returns it if it is.
func (e *Engine) restore(ctx context.Context) *keptBundle {
	k := &e.bundle.remote.kept
	found, _, _ := k.loading.Do("", func() (any, error) { return e.loadKept(ctx), nil })
	return found.(*keptBundle)
}

// loadKept loads the kept bundle and puts it in force. It is verified as one that has just come: whoever can
// write to the store cannot write policies.
func (e *Engine) loadKept(ctx context.Context) *keptBundle {
	r := e.bundle.remote
	found, err := r.kept.load(ctx)
	if err == nil && found != nil {
		err = e.putKept(found)
	}
	now := time.Now()
	r.kept.looked.Store(&now)
	if err != nil {
		r.cfg.OnFault("starting with the policy bundle that was kept", err)
	}
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	return r.kept.found
}

// load is the kept bundle of this URL; nil when there is none.
func (k *kept) load(ctx context.Context) (*keptBundle, error) {
	if k.cfg.Store == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.pace.storage)
	defer cancel()
	object, err := k.cfg.Store.Load(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading: %w", err)
	}
	found, err := decodeKept(object)
	if err != nil || found.URLSHA256 != hashText(k.cfg.Location) {
		return nil, err
	}
	return found, nil
}

func (e *Engine) putKept(found *keptBundle) error {
	b, err := e.bundle.read(found.compressed)
	if err != nil {
		return err
	}
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	if e.current.Load() != nil {
		return nil
	}
	if _, err := e.replace(b.sources, b.revision); err != nil {
		e.watch.failed = "" // when it comes again, that is another failure
		return err
	}
	found.compressed = nil
	r := e.bundle.remote
	r.kept.found, r.downloaded, r.etag = found, found.Downloaded, found.ETag
	r.news.add(true, nil)
	return nil
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
