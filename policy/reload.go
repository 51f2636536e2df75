package policy

import (
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// problem says why the policy in force is not what its files or bundle last held.
type problem struct {
	key string // equal for the same problem: the revision of sources that do not compile, or a text
	err error
}

// Bounds on the time until files that were refused are compiled and tested again. The cause may be gone then: a test that
// was too slow on a busy machine, or one that depends on the time. The time doubles with each attempt, because tests that
// do not end must not fill the machine.
const (
	retryAfter = 30 * time.Second
	retryLimit = 15 * time.Minute
)

// refusedFiles is the last attempt to put files into force that failed.
type refusedFiles struct {
	key  string // revision of the files, with tests
	err  error
	wait time.Duration
	next time.Time // of the next attempt
}

// Reload replaces the policy in force if its files have changed, and reports whether it did. It is cheap while nothing
// changes, so that it can be called every few seconds. After an error the policy stays in force. Reload returns an error
// once, and again only after something else was wrong.
func (e *Engine) Reload() (changed bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bundle != nil {
		return e.bundle.reload()
	}
	found, changed, err := e.files.Look()
	if err != nil {
		return false, e.firstTime(err.Error(), err)
	}
	if !changed {
		return false, nil
	}
	return e.replace(found, "")
}

// Healthy reports whether the policy in force is what its files or bundle last held. It is not if they are broken or
// cannot be read, or if there is no policy yet.
func (e *Engine) Healthy() bool { return e.Status().Healthy }

func (e *Engine) now() time.Time {
	if e.files.Now == nil {
		return time.Now()
	}
	return e.files.Now()
}

// replace compiles files and runs their tests, unless they are in force or were refused a short time ago. The authors may
// have given them a revision. The mutex is held.
func (e *Engine) replace(own []files.File, given string) (changed bool, err error) {
	shipped, err := shippedFiles(e.cfg.NoDefaults)
	if err != nil {
		return false, err
	}
	all := append(shipped, own...)
	untested := files.WithoutTests(all)
	tested := files.Revision(all)
	revision := files.Revision(untested)
	if given != "" {
		revision = given + "@" + revision
	}
	current := e.current.Load()
	isSame := current != nil && current.revision == revision
	if isSame && (current.tested == tested || !e.cfg.Verify) {
		e.problem = nil
		return false, nil
	}
	if r := e.refused; r.key == tested && e.now().Before(r.next) {
		return false, e.firstTime(tested, r.err)
	}
	s, err := compile(untested)
	if err == nil {
		err = e.accept(s, all)
	}
	if err != nil {
		e.refuse(tested, err)
		return false, e.firstTime(tested, err)
	}
	e.refused = refusedFiles{}
	s.revision, s.tested = revision, tested
	e.problem = nil
	e.putInForce(s)
	return !isSame, nil
}

// putInForce drops the cached decisions of the policy before, also while requests still use that policy.
func (e *Engine) putInForce(s *snapshot) {
	if old := e.current.Swap(s); old != nil {
		old.cache.close()
	}
	if e.closed.Load() {
		s.cache.close()
	}
}

// refuse records a failed attempt. The mutex is held.
func (e *Engine) refuse(key string, err error) {
	wait := retryAfter
	if e.refused.key == key {
		wait = min(2*e.refused.wait, retryLimit)
	}
	e.refused = refusedFiles{key, err, wait, e.now().Add(wait)}
}

// accept checks what is required of a policy beyond compiling.
func (e *Engine) accept(s *snapshot, all []files.File) error {
	if e.requests.Load() && !s.judges {
		return errNoRule
	}
	if e.cfg.Verify {
		return verify(all)
	}
	return nil
}

// firstTime records a problem, and returns its error unless it is still the same problem. The mutex is held.
func (e *Engine) firstTime(key string, err error) error {
	if e.problem != nil && e.problem.key == key {
		e.problem.err = err
		return nil
	}
	e.problem = &problem{key, err}
	return err
}

// Where a policy comes from.
const (
	FromFiles  = "files"
	FromBundle = "bundle"
)

// Status says where the policy comes from, and whether it is up to date.
type Status struct {
	// Source is FromFiles or FromBundle.
	Source string
	// Where are the paths, or the bundle's path or URL, without the URL's query.
	Where []string
	// Revision is that of [Engine.Revision].
	Revision string
	// Healthy is that of [Engine.Healthy].
	Healthy bool
	// Err is why it is not healthy, or nil if it is.
	Err error
	// Failed are the decisions of the policy in force that could not be made. They do not make the policy unhealthy.
	Failed Failures
	// Downloaded is when the bundle in force was fetched from its server, Confirmed is when the server last confirmed
	// that it has no other, and ETag is the server's name for it. All are zero for files.
	Downloaded, Confirmed time.Time
	ETag                  string
}

// Status returns the current status.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{Source: FromFiles, Where: e.cfg.Paths, Revision: e.Revision()}
	switch {
	case e.problem != nil:
		s.Err = e.problem.err
	case s.Revision == "":
		s.Err = errNoBundle
	}
	s.Healthy = s.Err == nil
	if current := e.current.Load(); current != nil {
		s.Failed = current.failed.get()
	}
	if b := e.bundle; b != nil {
		s.Source, s.Where = FromBundle, []string{b.source.Where()}
		s.Downloaded, s.Confirmed, s.ETag = b.downloaded, b.confirmed, b.etag
	}
	return s
}
