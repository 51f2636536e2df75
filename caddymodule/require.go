package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// Requirement says which scopes a request needs that matches its method and path.
type Requirement struct {
	// Method is an HTTP method in upper case; GET is HEAD too. Default: every method.
	Method string `json:"method,omitempty"`

	// Path is a pattern of Go's net/http.ServeMux: /books, /books/{id}, /files/{rest...}, /docs/,
	// with an optional host before it, in lower case, without a port, and in Punycode (xn--) if it is
	// not ASCII. A request's host matches without regard to case, to its port and to a dot at its end.
	// A * is not a wildcard, and is an error; write it as %2A. The most specific pattern
	// wins; two of which neither is more specific are an error, also when they are alike but for the
	// case of letters. Required.
	Path string `json:"path"`

	// Scopes must each be covered by a scope of the token. A path parameter may stand in the
	// identifier, as in book:{id}:read; there it stands for itself alone, whatever it contains.
	// Required.
	Scopes []string `json:"scopes"`
}

// requirements finds the scopes that a request needs.
type requirements struct {
	mux *http.ServeMux
	// folded has the same routes in lower case. Caddy's own path matchers do not see the case of
	// letters, so a path that folds to another route would be judged by one rule and served by
	// another.
	folded *http.ServeMux
}

func newRequirements() *requirements {
	return &requirements{mux: http.NewServeMux(), folded: http.NewServeMux()}
}

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
	route := &route{pattern: r.pattern(), parameters: parametersOf(r.Path), scopes: make([]scopeTemplate, len(r.Scopes))}
	for n, raw := range r.Scopes {
		template, err := parseScopeTemplate(raw, r.Path)
		if err != nil {
			return fmt.Errorf("requiring %q for %s: %w", raw, r.pattern(), err)
		}
		route.scopes[n] = template
	}
	if err := handle(c.mux, r.pattern(), route); err != nil {
		return fmt.Errorf("requiring for %s: %w", r.pattern(), err)
	}
	if err := handle(c.folded, foldPattern(r.pattern()), route); err != nil {
		return fmt.Errorf("requiring for %s: without regard to case, as Caddy matches paths: %w", r.pattern(), err)
	}
	return nil
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
	case httpguard.FoldHost(r.host()) != r.host():
		return fmt.Errorf("requiring for %q: the host is in lower case, without a port or a dot at its end, and an IPv6 address in its shortest form", r.Path)
	case r.host() != "" && httpguard.AmbiguousHostname(r.host()) != "":
		return fmt.Errorf("requiring for %q: no request can match its host: %s", r.Path, httpguard.AmbiguousHostname(r.host()))
	case strings.ToUpper(r.Method) != r.Method:
		return fmt.Errorf("requiring for %s: method %q is not in upper case", r.Path, r.Method)
	case r.Method == http.MethodConnect:
		return fmt.Errorf("requiring for %s: no request can match the method CONNECT; a WebSocket is a GET", r.Path)
	case strings.Contains(r.Path, "*"):
		return fmt.Errorf("requiring for %q: a * in the path is not a wildcard; all below a path is /path/ or /path/{rest...}, and the character itself is %%2A", r.Path)
	case r.ambiguity() != "":
		return fmt.Errorf("requiring for %q: no request can match its path: %s", r.Path, r.ambiguity())
	case len(r.Scopes) == 0:
		return fmt.Errorf("requiring for %s: no scope is named", r.pattern())
	}
	return nil
}

// host is what stands before the path, which may be nothing.
func (r *Requirement) host() string {
	host, _, _ := strings.Cut(r.Path, "/")
	return host
}

// ambiguity says why the door refuses every request that could match the path, "" if it does not.
func (r *Requirement) ambiguity() string {
	path := r.Path[len(r.host()):]
	decoded := url.URL{RawPath: path}
	for n, segment := range strings.Split(path, "/") {
		if n > 0 {
			decoded.Path += "/" + literalOf(segment)
		}
	}
	return httpguard.AmbiguousPath(&decoded)
}

// literalOf is what ServeMux compares a segment of a pattern with. A parameter stands for itself.
func literalOf(segment string) string {
	switch literal, err := url.PathUnescape(segment); {
	case segment == "{$}":
		return ""
	case err != nil, isParameter(segment):
		return segment
	default:
		return literal
	}
}

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }

func (r *Requirement) pattern() string {
	if r.Method == "" {
		return r.Path
	}
	return r.Method + " " + r.Path
}

// registeredAt is where in this source ServeMux was given a pattern, which its panics tell.
var registeredAt = regexp.MustCompile(` \(registered at [^)]*\)`)

// handle registers a pattern; ServeMux panics on a malformed one and on a conflict.
func handle(mux *http.ServeMux, pattern string, r *route) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = errors.New(registeredAt.ReplaceAllString(fmt.Sprint(problem), ""))
		}
	}()
	mux.Handle(pattern, r)
	return nil
}

// foldPattern is the pattern with its literal segments in lower case, however they are encoded.
func foldPattern(pattern string) string {
	method, rest, found := strings.Cut(pattern, " ")
	if !found {
		method, rest = "", pattern
	}
	segments := strings.Split(rest, "/")
	for n, segment := range segments {
		if n > 0 && !isParameter(segment) { // the host before them is in lower case
			segments[n] = url.PathEscape(strings.ToLower(literalOf(segment)))
		}
	}
	return strings.TrimSpace(method + " " + strings.Join(segments, "/"))
}

// matched is the rule that a request matches.
type matched struct {
	method     string // as the upstream will see it
	needed     []scope.Scope
	route      *route
	parameters map[string]string // the pattern's, with their values
}

// match returns the rule for the request, as it will reach the upstream. It refuses what no rule
// allows, and what Caddy or an upstream may take for another request.
func (c *requirements) match(r *http.Request) (matched, *refusal) {
	method := httpguard.UpstreamMethod(r)
	seen := r.WithContext(context.Background()) // a copy: ServeMux writes path values into it
	seen.Method, seen.Host = method, httpguard.FoldHost(r.Host)
	found := new(match)
	c.mux.ServeHTTP(found, seen)
	if found.route != nil {
		if why := c.ambiguity(seen, found.route); why != "" {
			return matched{}, ambiguous(reasonAmbiguousPath, why)
		}
	}
	needed, ok := found.route.fill(found.values)
	if !ok {
		return matched{}, forbidden(reasonNoRule, "no rule allows this request", "")
	}
	return matched{method, needed, found.route, found.values}, nil
}

// ambiguity says why a request that matches r may be taken for one that another rule is about, "" if it
// may not. It changes the URL of seen.
func (c *requirements) ambiguity(seen *http.Request, r *route) string {
	path := strings.ToLower(seen.URL.Path)
	if c.folds(seen, path) != r {
		return "letters of the other case belong to another rule"
	}
	// ServeMux redirects /docs to /docs/, which does not match, where a rule is about the latter and a wider one
	// about both. It does not do so the other way round.
	if short, found := strings.CutSuffix(path, "/"); found && short != "" && !r.endsWith(path) {
		if other := c.folds(seen, short); other != nil && other != r {
			return "without the slash at its end it belongs to another rule"
		}
	}
	return ""
}

// folds is the route of the request with another path, in lower case, without regard to case.
func (c *requirements) folds(seen *http.Request, path string) *route {
	seen.URL = &url.URL{Path: path}
	found := new(match)
	c.folded.ServeHTTP(found, seen)
	return found.route
}

// route is what one pattern needs. As a handler it says that it is the one.
type route struct {
	pattern    string
	parameters []string
	scopes     []scopeTemplate
}

// endsWith reports whether the pattern ends where a path that matches it does, rather than in a
// wildcard that has the rest of the path.
func (r *route) endsWith(path string) bool {
	return strings.Count(r.pattern, "/") == strings.Count(path, "/")
}

func (r *route) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	found := w.(*match)
	found.route, found.values = r, r.valuesOf(request)
}

// valuesOf copies the path's values. The mux for letters of the other case runs on the same request
// and overwrites them there: a value read after that is the lower-case one.
func (r *route) valuesOf(request *http.Request) map[string]string {
	if len(r.parameters) == 0 {
		return nil
	}
	values := make(map[string]string, len(r.parameters))
	for _, name := range r.parameters {
		values[name] = request.PathValue(name)
	}
	return values
}

// fill returns the scopes with the path's values, and false for no route at all and for a value
// that cannot stand in a scope.
func (r *route) fill(values map[string]string) ([]scope.Scope, bool) {
	if r == nil {
		return nil, false
	}
	scopes := make([]scope.Scope, len(r.scopes))
	for n, template := range r.scopes {
		var ok bool
		if scopes[n], ok = template.fill(values); !ok {
			return nil, false
		}
	}
	return scopes, true
}

var parameterNames = regexp.MustCompile(`/\{([^}$]+?)(?:\.\.\.)?\}`)

// parametersOf are the names of a pattern's parameters.
func parametersOf(path string) []string {
	var names []string
	for _, found := range parameterNames.FindAllStringSubmatch(path, -1) {
		names = append(names, found[1])
	}
	return names
}

// match is the ResponseWriter that takes ServeMux's answer. Its own answers, such as 404 and a
// redirect to a cleaner path, go nowhere: they are no match.
type match struct {
	header http.Header
	route  *route
	values map[string]string
}

func (m *match) Header() http.Header {
	if m.header == nil {
		m.header = make(http.Header)
	}
	return m.header
}
func (m *match) Write(b []byte) (int, error) { return len(b), nil }
func (m *match) WriteHeader(int)             {}
