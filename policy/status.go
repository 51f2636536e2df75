package policy

import "time"

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
	// Err is why it is not healthy, if that is known.
	Err error
	// Downloaded is when the bundle in force was fetched from its server, Confirmed is when the server last confirmed
	// that it has no other, and ETag is the server's name for it. All are zero for files.
	Downloaded, Confirmed time.Time
	ETag                  string
}

// Status returns the current status.
func (e *Engine) Status() Status {
	s := Status{Source: FromFiles, Where: e.cfg.Paths, Revision: e.Revision()}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Healthy = e.problem == nil && s.Revision != ""
	if e.problem != nil {
		s.Err = e.problem.err
	}
	if b := e.bundle; b != nil {
		s.Source, s.Where = FromBundle, []string{b.source.Where()}
		s.Downloaded, s.Confirmed, s.ETag = b.downloaded, b.confirmed, b.etag
	}
	return s
}
