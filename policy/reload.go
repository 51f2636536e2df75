package policy

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"
)

// Two files of one size and one modification time may differ: time stamps are coarse, and tools
// copy them. A file that was young when it was read is read again, and every file now and then.
const (
	racyAge     = 2 * time.Second
	rereadAfter = time.Minute
)

// watch remembers what was last read.
type watch struct {
	mu     sync.Mutex
	now    func() time.Time
	seen   []source
	seenAt time.Time
	// failed is what was wrong last time: the revision of sources that do not compile, or the
	// text of an error.
	failed string
	err    error
}

// Reload replaces the policy in force if its files have changed, and reports whether it did. It is
// cheap while nothing changes, and made to be called every few seconds. An error leaves the policy
// in force; it is reported once, and again only when something else is wrong.
func (e *Engine) Reload() (changed bool, err error) {
	w := &e.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.bundle != nil {
		return e.reloadBundle()
	}
	found, err := e.scan()
	if err != nil {
		w.seen = nil
		return false, w.once(err.Error(), err)
	}
	if w.isUnchanged(found) {
		return false, nil
	}
	w.seen, w.seenAt = nil, w.now()
	if found, err = e.readSettled(found); err != nil {
		return false, w.once(err.Error(), err)
	}
	w.seen = found
	return e.replace(found, "")
}

func (e *Engine) scan() ([]source, error) { return scan(e.cfg.Paths, e.cfg.Verify) }

// readSettled reads the files that were found, and looks once more: when they were being replaced
// meanwhile, half of one policy may have been read with half of another.
func (e *Engine) readSettled(found []source) ([]source, error) {
	for range 3 {
		if err := read(found); err != nil {
			return nil, err
		}
		again, err := e.scan()
		if err != nil {
			return nil, err
		}
		if sameFiles(found, again) {
			return found, nil
		}
		found = again
	}
	return nil, errors.New("reading policy: the files keep changing")
}

// Healthy reports whether the policy in force is what its files last held; it is not while they are
// broken or cannot be read, nor before there is one.
func (e *Engine) Healthy() bool {
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	return e.watch.failed == "" && e.current.Load() != nil
}

// replace compiles sources, and runs their tests, unless they are those in force or those that last
// failed. Authors may have given them a revision of their own.
func (e *Engine) replace(own []source, given string) (changed bool, err error) {
	shipped, err := shippedSources(e.cfg.NoDefaults)
	if err != nil {
		return false, err
	}
	all := append(shipped, own...)
	sources := withoutTests(all)
	tested := revisionOf(all)
	revision := revisionWith(given, revisionOf(sources))
	current := e.current.Load()
	isSame := current != nil && current.revision == revision
	if isSame && (current.tested == tested || !e.cfg.Verify) {
		e.watch.failed = ""
		return false, nil
	}
	if e.watch.failed == tested {
		return false, nil
	}
	s, err := compile(sources)
	if err == nil {
		err = e.accept(s, all)
	}
	if err != nil {
		return false, e.watch.once(tested, err)
	}
	s.revision, s.tested = revision, tested
	e.watch.failed = ""
	e.current.Store(s)
	return !isSame, nil
}

// accept holds a policy against what is asked of it beyond compiling.
func (e *Engine) accept(s *snapshot, all []source) error {
	if e.requests.Load() && !s.judges {
		return errNoRule
	}
	if e.cfg.Verify {
		return verify(all)
	}
	return nil
}

func withoutTests(sources []source) []source {
	return slices.DeleteFunc(slices.Clone(sources), source.isTest)
}

// once lets an error through when it is not the last one again.
func (w *watch) once(what string, err error) error {
	if w.failed == what {
		return nil
	}
	w.failed, w.err = what, err
	return err
}

// failure is what is wrong now; nil when nothing is.
func (w *watch) failure() *failure {
	if w.failed == "" {
		return nil
	}
	return &failure{w.failed, w.err}
}

func (w *watch) isUnchanged(found []source) bool {
	if w.seen == nil || w.now().Sub(w.seenAt) >= rereadAfter || w.seenAt.Sub(newest(w.seen)) < racyAge {
		return false
	}
	return sameFiles(w.seen, found)
}

func sameFiles(before, after []source) bool {
	return slices.EqualFunc(before, after, func(a, b source) bool {
		return a.name == b.name && a.info.Size() == b.info.Size() &&
			a.info.ModTime().Equal(b.info.ModTime()) && os.SameFile(a.info, b.info)
	})
}
