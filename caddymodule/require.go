package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// Requirement says which scopes a request needs that matches its method and path.
type Requirement struct {
	// Method is an HTTP method in upper case; GET is HEAD too. Default: every method.
	Method string `json:"method,omitempty"`

	// Path is a pattern of Go's net/http.ServeMux: /books, /books/{id}, /files/{rest...}, /docs/,
	// with an optional host before it. The most specific pattern wins; two of which neither is
	// more specific are an error. Required.
	Path string `json:"path"`

	// Scopes must each be covered by a scope of the token. A path parameter may stand in the
	// identifier, as in book:{id}:read; there it stands for itself alone, whatever it contains.
	// Required.
	Scopes []string `json:"scopes"`
}

// requirements finds the scopes that a request needs.
type requirements struct {
	mux *http.ServeMux
}

func newRequirements() *requirements { return &requirements{mux: http.NewServeMux()} }

// compileRequirements returns nil when nothing is required. It fails on a pattern or scope that
// is malformed, on a parameter that the pattern does not have, and on patterns in conflict.
func compileRequirements(all []*Requirement) (*requirements, error) {
	if len(all) == 0 {
		return nil, nil
	}
	compiled := newRequirements()
	for _, requirement := range all {
		if requirement == nil {
			return nil, errors.New("a requirement is null")
		}
		if err := compiled.add(requirement); err != nil {
			return nil, err
		}
	}
	return compiled, nil
}

func (c *requirements) add(r *Requirement) error {
	if err := r.check(); err != nil {
		return err
	}
	templates := make([]scopeTemplate, len(r.Scopes))
	for n, raw := range r.Scopes {
		template, err := parseScopeTemplate(raw, r.Path)
		if err != nil {
			return fmt.Errorf("requiring %q for %s: %w", raw, r.pattern(), err)
		}
		templates[n] = template
	}
	return c.handle(r.pattern(), templates)
}

func (r *Requirement) check() error {
	switch {
	case r.Path == "":
		return errors.New("a requirement has no path")
	case !strings.Contains(r.Path, "/"):
		return fmt.Errorf("requiring for %q: the path has no /", r.Path)
	case strings.ContainsAny(r.Path, " \t"):
		return fmt.Errorf("requiring for %q: the path has white space", r.Path)
	case strings.Contains(r.Path, "{http."):
		return fmt.Errorf("requiring for %q: this parameter name is a placeholder of the Caddyfile; choose another", r.Path)
	case strings.ToUpper(r.Method) != r.Method:
		return fmt.Errorf("requiring for %s: method %q is not in upper case", r.Path, r.Method)
	case len(r.Scopes) == 0:
		return fmt.Errorf("requiring for %s: no scope is named", r.pattern())
	}
	return nil
}

func (r *Requirement) pattern() string {
	if r.Method == "" {
		return r.Path
	}
	return r.Method + " " + r.Path
}

// registeredAt is where in this source ServeMux was given a pattern, which its panics tell.
var registeredAt = regexp.MustCompile(` \(registered at [^)]*\)`)

// handle registers a pattern; ServeMux panics on a malformed one and on a conflict.
func (c *requirements) handle(pattern string, templates []scopeTemplate) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("requiring for %s: %s", pattern, registeredAt.ReplaceAllString(fmt.Sprint(problem), ""))
		}
	}()
	c.mux.Handle(pattern, matched(templates))
	return nil
}

// match returns the scopes that the request needs, and false when no pattern matches it, or when
// a path parameter cannot stand in a scope.
func (c *requirements) match(r *http.Request) ([]scope.Scope, bool) {
	found := new(match)
	// the copy keeps ServeMux from writing its path values into the caller's request
	c.mux.ServeHTTP(found, r.WithContext(context.Background()))
	return found.scopes, found.ok
}

// matched is the handler of a pattern: it fills in the scopes of the match that asked.
type matched []scopeTemplate

func (templates matched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found := w.(*match)
	found.scopes = make([]scope.Scope, len(templates))
	for n, template := range templates {
		need, ok := template.fill(r.PathValue)
		if !ok {
			return
		}
		found.scopes[n] = need
	}
	found.ok = true
}

// match is the ResponseWriter that takes ServeMux's answer. Its own answers, such as 404 and a
// redirect to a cleaner path, go nowhere: they are no match.
type match struct {
	header http.Header
	scopes []scope.Scope
	ok     bool
}

func (m *match) Header() http.Header {
	if m.header == nil {
		m.header = make(http.Header)
	}
	return m.header
}
func (m *match) Write(b []byte) (int, error) { return len(b), nil }
func (m *match) WriteHeader(int)             {}
