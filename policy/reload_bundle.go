package policy

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

// bundled is the bundle of an engine. For that of a server it is the target of the poll loop: what is fetched is put into
// force at once, and Reload reports it later.
type bundled struct {
	engine    *Engine
	source    *bundle.Source
	restoring singleflight.Group

	// Guarded by the engine's mutex.
	report     report         // what Reload returns next
	restored   bundle.Version // of the kept bundle, if it was put into force
	downloaded time.Time      // when the bundle in force was fetched
	confirmed  time.Time      // when the server last confirmed that it has no other
	etag       string
}

// Start puts the kept bundle of a server into force, and polls the server until ctx is done. It waits for storage, and
// not for the server. Start does nothing for files.
func (e *Engine) Start(ctx context.Context) {
	if e.bundle == nil || !e.bundle.source.IsRemote() {
		return
	}
	_, _ = poll.Shared(ctx, &e.bundle.restoring, "", e.bundle.restore)
	e.mu.Lock()
	restored := e.bundle.restored
	e.mu.Unlock()
	go e.bundle.source.Poll(ctx, restored, e.bundle)
}

// Take implements [bundle.Target].
func (b *bundled) Take(fetched *bundle.Bundle) error {
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	b.confirmed = e.now()
	changed, err := e.replace(fetched.Files, fetched.Revision)
	if err != nil {
		b.report.add(false, b.fault(err))
		return err
	}
	if e.problem != nil { // it was reported
		return e.problem.err
	}
	b.downloaded, b.etag = fetched.Downloaded, fetched.ETag
	b.report.add(changed, nil)
	return nil
}

// Confirm implements [bundle.Target]. The bundle that the server has was accepted before.
func (b *bundled) Confirm() {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	b.confirmed = b.engine.now()
	b.engine.problem = nil
}

var numbers = regexp.MustCompile(`\d+`)

// Fail implements [bundle.Target]. Numbers such as ports and times may differ each time, so they do not make a new
// failure.
func (b *bundled) Fail(err error) {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	if err := b.engine.firstTime(numbers.ReplaceAllString(err.Error(), ""), err); err != nil {
		b.report.add(false, b.fault(err))
	}
}

// fault adds the bundle's location to an error.
func (b *bundled) fault(err error) error { return fmt.Errorf("bundle %s: %w", b.source.Where(), err) }

// reload is Reload for bundles. The engine's mutex is held.
func (b *bundled) reload() (changed bool, err error) {
	if b.source.IsRemote() {
		return b.report.take()
	}
	read, err := b.source.Reload()
	switch {
	case err != nil:
		err = b.engine.firstTime(err.Error(), err)
	case read != nil:
		changed, err = b.engine.replace(read.Files, read.Revision)
	}
	if err != nil {
		err = b.fault(err)
	}
	return changed, err
}

// firstBundle returns the policy of the kept bundle, for a decision before Start: a server may serve before it. However
// many decisions ask, the kept bundle is loaded once; if that fails, it is loaded again after a while.
func (e *Engine) firstBundle(ctx context.Context) (*snapshot, error) {
	if e.bundle.source.MayRestore() {
		waiting, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
		_, _ = poll.Shared(waiting, &e.bundle.restoring, "", e.bundle.restore)
		cancel()
		if err := ctx.Err(); err != nil {
			return nil, &Error{Canceled, err}
		}
	}
	if s := e.current.Load(); s != nil {
		return s, nil
	}
	return nil, &Error{NotReady, errNoBundle}
}

var errNoBundle = errors.New("no policy bundle has come yet")

// restore loads the kept bundle and puts it into force if there is no policy yet.
func (b *bundled) restore(ctx context.Context) (struct{}, error) {
	defer b.source.Restored()
	kept, err := b.source.Restore(ctx)
	if err == nil && kept != nil {
		err = b.takeKept(kept)
	}
	if err != nil {
		b.source.OnFault("starting with the policy bundle that was kept", err)
	}
	return struct{}{}, nil
}

func (b *bundled) takeKept(kept *bundle.Bundle) error {
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current.Load() != nil {
		return nil
	}
	_, err := e.replace(kept.Files, kept.Revision)
	switch {
	case err != nil:
		e.problem = nil // if the server has the same bundle, that is another failure
		return err
	case e.problem != nil: // the server has the same bundle, and its failure was reported
		return nil
	}
	b.restored, b.downloaded, b.etag = kept.Version, kept.Downloaded, kept.ETag
	b.report.add(true, nil)
	return nil
}

// report is what has happened since Reload was last called.
type report struct {
	changed bool
	err     error
}

func (r *report) add(changed bool, err error) {
	r.changed = r.changed || changed
	r.err = err
}

// take returns a change first, and the error after it at the next call.
func (r *report) take() (changed bool, err error) {
	if r.changed {
		r.changed = false
		return true, nil
	}
	err, r.err = r.err, nil
	return false, err
}
