package policy

import "time"

// Where a policy comes from.
const (
	FromFiles  = "files"
	FromBundle = "bundle"
)

// Status says where the policy comes from, and how that fares.
type Status struct {
	// Source is FromFiles or FromBundle.
	Source string
	// Where are the paths, or the bundle's path or URL, without the URL's query.
	Where []string
	// Revision is that of [Engine.Revision].
	Revision string
	// Healthy is that of [Engine.Healthy].
	Healthy bool
	// Err is what is wrong while it is not healthy, if that is known.
	Err error
	// Downloaded is when the bundle in force came from its server, ETag what the server calls it, and
	// Confirmed when the server last said that it has no other. All are zero for files.
	Downloaded, Confirmed time.Time
	ETag                  string
}

// Status is that of now.
func (e *Engine) Status() Status {
	s := Status{Source: FromFiles, Where: e.cfg.Paths, Revision: e.Revision()}
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	s.Healthy = e.watch.failed == "" && s.Revision != ""
	if f := e.watch.failure(); f != nil {
		s.Err = f.err
	}
	if e.bundle == nil {
		return s
	}
	s.Source, s.Where = FromBundle, []string{e.bundle.where}
	if r := e.bundle.remote; r != nil {
		s.Downloaded, s.Confirmed, s.ETag = r.downloaded, r.confirmed, r.etag
	}
	return s
}
