package door

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// Routes finds the scopes that a request needs.
type Routes struct {
	mux *http.ServeMux
	// folded has the same routes in lower case. Caddy's own path matchers ignore the case of letters. A path that folds
	// to another route would be judged by one rule and served by another.
	folded *http.ServeMux
	// foldedDiffers reports that a pattern is another one in folded than in mux.
	foldedDiffers bool
	// required reports that there is a requirement. Without one, a token is enough for what no public route matches.
	required bool
	// encodedSlash reports that a route takes encoded slashes.
	encodedSlash bool
}

// NewRoutes returns routes that match no request.
func NewRoutes() *Routes { return &Routes{mux: http.NewServeMux(), folded: http.NewServeMux()} }

// compileRoutes returns nil if there are no routes.
func compileRoutes(all []*Requirement, public []*PublicRoute) (*Routes, error) {
	if len(all)+len(public) == 0 {
		return nil, nil
	}
	routes := NewRoutes()
	for _, p := range public {
		if p == nil {
			return nil, errors.New("a public route is null")
		}
		if err := routes.AddPublic(p); err != nil {
			return nil, err
		}
	}
	for _, requirement := range all {
		if requirement == nil {
			return nil, errors.New("a requirement is null")
		}
		if err := routes.Add(requirement); err != nil {
			return nil, err
		}
	}
	return routes, nil
}

// AddPublic adds a route that needs no token. It fails as Add does.
func (c *Routes) AddPublic(p *PublicRoute) error { return c.add(p.requirement()) }

// Add adds the route of a requirement. It fails on a pattern or scope that is malformed, on a parameter that the
// pattern does not have, and on a conflict with another pattern.
func (c *Routes) Add(r *Requirement) error {
	c.required = true
	return c.add(r)
}

func (c *Routes) add(r *Requirement) error {
	if err := r.check(); err != nil {
		return err
	}
	route := &route{pattern: r.Pattern(), public: r.public, encodedSlash: r.EncodedSlash, parameters: parametersOf(r.Path), scopes: make([]scopeTemplate, len(r.Scopes))}
	exact, folded := r.muxPatterns()
	route.shape = shapeOf(folded)
	c.foldedDiffers = c.foldedDiffers || folded != exact
	for n, raw := range r.Scopes {
		template, err := parseScopeTemplate(raw, r)
		if err != nil {
			return r.errorf("scope %q: %w", raw, err)
		}
		route.scopes[n] = template
	}
	route.settle()
	c.encodedSlash = c.encodedSlash || r.EncodedSlash
	if err := handle(c.mux, exact, route); err != nil {
		return r.errorf("%w", err)
	}
	if err := handle(c.folded, folded, route); err != nil {
		return r.errorf("without regard to case, as Caddy matches paths: %w", err)
	}
	return nil
}

// registeredAt matches the place in this source where ServeMux was given a pattern, which its panics have.
var registeredAt = regexp.MustCompile(` \(registered at [^)]*\)`)

// handle registers a pattern. ServeMux panics on a malformed one and on a conflict.
func handle(mux *http.ServeMux, pattern string, r *route) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			text := registeredAt.ReplaceAllString(fmt.Sprint(problem), "")
			err = errors.New(strings.ReplaceAll(text, "%01", "%2F"))
		}
	}()
	mux.Handle(pattern, r)
	return nil
}

// match is the route that a request matches.
type match struct {
	method     string // as the upstream sees it
	required   []scope.Scope
	route      *route // nil if the door has no routes
	parameters pathValues
}

// needsNoToken reports whether the request matches a public route.
func (m match) needsNoToken() bool { return m.route != nil && m.route.public }

// match returns the route of the request as it reaches the upstream. It refuses a request that matches none, and one
// that Caddy or an upstream may take for another request.
func (c *Routes) match(r *http.Request) (match, *Refusal) {
	seen, found := c.find(r)
	if found.route != nil {
		if why := c.ambiguity(seen, found.route); why != "" {
			return match{}, ambiguous(reasonAmbiguousPath, why)
		}
	} else if !c.required {
		return match{method: seen.Method}, nil
	}
	required, ok := found.route.fill(found.values)
	if !ok {
		return match{}, forbidden(reasonNoRule, "no rule allows this request", "")
	}
	keepSlashes(found.values)
	return match{seen.Method, required, found.route, found.values}, nil
}

// find returns the route that a request matches, and the request as the routes see it.
func (c *Routes) find(r *http.Request) (seen *http.Request, found *muxAnswer) {
	look := &lookUp{request: http.Request{ // another request: ServeMux writes path values into it
		Method: httpguard.UpstreamMethod(r), Host: httpguard.FoldHost(r.Host), URL: r.URL,
		RequestURI: r.RequestURI, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
	}}
	if c.encodedSlash && httpguard.HasEncodedSlash(r.URL) {
		look.request.URL = withMarks(r.URL)
	}
	c.mux.ServeHTTP(&look.found, &look.request)
	return &look.request, &look.found
}

// lookUp is what ServeMux needs to find a route: what it reads of a request, and what it writes.
type lookUp struct {
	request http.Request
	found   muxAnswer
}

// takesEncodedSlash reports whether the path of a request has an encoded slash, and belongs to a route that takes it as a
// character of its segment. It does not look for the route of a path that is refused anyway: for CONNECT, which is not
// refused yet, ServeMux takes an empty segment for a parameter, and PathValue panics (go.dev/issue/81222).
func (c *Routes) takesEncodedSlash(r *http.Request) bool {
	if c == nil || !c.encodedSlash || !httpguard.HasEncodedSlash(r.URL) || httpguard.AmbiguousSegments(r.URL) != "" {
		return false
	}
	_, found := c.find(r)
	return found.route != nil && found.route.encodedSlash
}

// ambiguity returns why a request that matches r may be taken for one that another route is about, "" if it may not. It
// changes the URL of seen.
func (c *Routes) ambiguity(seen *http.Request, r *route) string {
	path := strings.ToLower(seen.URL.Path)
	if !c.foldsToItself(seen, path) && c.foldedRoute(seen, path) != r {
		return "letters of the other case belong to another rule"
	}
	if why := c.slashAtEnd(seen, path, r); why != "" {
		return why
	}
	if strings.Contains(path, slashMark) && !c.takesPlain(seen, plainSlashes(path)) {
		return "with its encoded slashes decoded it belongs to another rule, which does not take encoded slashes"
	}
	return ""
}

// foldsToItself reports whether foldedRoute would look for the same path among the same patterns as find has. The path is that
// of the request in lower case. ServeMux reads more of a URL for CONNECT.
func (c *Routes) foldsToItself(seen *http.Request, path string) bool {
	return !c.foldedDiffers && seen.Method != http.MethodConnect && seen.URL.RawPath == "" && seen.URL.Path == path
}

// slashAtEnd returns why a request that matches r may be taken for one of another rule, because many upstreams ignore a slash
// at the end of a path, "" if it may not. A rule that is written for such a path, such as /docs/ beside /docs or /{x}, is meant.
func (c *Routes) slashAtEnd(seen *http.Request, path string, r *route) string {
	short, found := strings.CutSuffix(path, "/")
	switch {
	case short == "":
	case found:
		// ServeMux redirects /docs to /docs/, which does not match, where a rule is about the latter and a wider one
		// about both. It does not do so the other way round.
		if other := c.foldedRoute(seen, short); other != nil && other != r && !(r.endsWith(path) && other.covers(r)) {
			return "without the slash at its end it belongs to another rule"
		}
	case r.public:
		// ServeMux does not redirect if the wider rule is /{x}, which is not about /docs/.
		path += "/"
		if other := c.foldedRoute(seen, path); other != nil && !other.public && other.endsWith(path) && !other.covers(r) {
			return "with a slash at its end it belongs to another rule, which is not public"
		}
	}
	return ""
}

// takesPlain reports whether the route of a path whose encoded slashes have been decoded, if there is one, takes encoded
// slashes itself. Otherwise its author did not expect that such a path comes in another form.
func (c *Routes) takesPlain(seen *http.Request, plain string) bool {
	other := c.foldedRoute(seen, plain)
	if short, found := strings.CutSuffix(plain, "/"); found && short != "" {
		if without := c.foldedRoute(seen, short); without != nil && !without.encodedSlash { // it may ignore the last slash, too
			return false
		}
	} else if other == nil {
		other = c.foldedRoute(seen, plain+"/") // ServeMux redirects to it
	}
	return other == nil || other.encodedSlash
}

// foldedRoute returns the route of the request with another path, in lower case, without regard to case.
func (c *Routes) foldedRoute(seen *http.Request, path string) *route {
	look := &struct { // one allocation for both
		url   url.URL
		found muxAnswer
	}{url: url.URL{Path: path}}
	seen.URL = &look.url
	c.folded.ServeHTTP(&look.found, seen)
	return look.found.route
}

// route is what requests of one pattern need. It is the pattern's handler, and writes itself into a muxAnswer.
type route struct {
	pattern      string
	public       bool   // needs no token
	encodedSlash bool   // takes an encoded slash as a character of its segment
	shape        string // of shapeOf
	parameters   []string
	scopes       []scopeTemplate
	filled       []scope.Scope // the scopes, if all paths of the pattern need the same; else nil
}

// settle fills the scopes if they have no path parameters.
func (r *route) settle() {
	if !slices.ContainsFunc(r.scopes, scopeTemplate.hasParameters) {
		r.filled, _ = r.fill(nil)
	}
}

// covers reports whether other has a shape of as many segments that are each a parameter of r or the same.
func (r *route) covers(other *route) bool {
	mine, its := strings.Split(r.shape, "/"), strings.Split(other.shape, "/")
	for n := range mine {
		if n >= len(its) || mine[n] != its[n] && mine[n] != "{}" {
			return false
		}
	}
	return len(mine) == len(its)
}

// endsWith reports whether the pattern ends where a path that matches it does, rather than in a wildcard for the rest
// of the path.
func (r *route) endsWith(path string) bool {
	return strings.Count(r.pattern, "/") == strings.Count(path, "/")
}

func (r *route) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	found := w.(*muxAnswer)
	found.route, found.values = r, r.valuesOf(request)
}

// valuesOf copies the path's values. The mux for folded paths runs on the same request and overwrites them there with
// values in lower case.
func (r *route) valuesOf(request *http.Request) pathValues {
	if len(r.parameters) == 0 {
		return nil
	}
	values := make(pathValues, len(r.parameters))
	for n, name := range r.parameters {
		values[n] = pathValue{name, request.PathValue(name)}
	}
	return values
}

// pathValues are the parameters of a pattern with their values. A map of so few would take ten times the memory.
type pathValues []pathValue

type pathValue struct{ name, value string }

func (v pathValues) get(name string) string {
	for _, one := range v {
		if one.name == name {
			return one.value
		}
	}
	return ""
}

// asMap returns nil if there are none.
func (v pathValues) asMap() map[string]string {
	if len(v) == 0 {
		return nil
	}
	values := make(map[string]string, len(v))
	for _, one := range v {
		values[one.name] = one.value
	}
	return values
}

// fill returns the scopes with the path's values. They must not be modified. It returns false for a nil route, and for a value
// that cannot stand in a scope.
func (r *route) fill(values pathValues) ([]scope.Scope, bool) {
	switch {
	case r == nil:
		return nil, false
	case r.filled != nil:
		return r.filled, true
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

// muxAnswer is the ResponseWriter that receives the route from ServeMux. It drops the answers that ServeMux writes
// itself, such as 404 and a redirect to a cleaner path: they are not matches.
type muxAnswer struct {
	header http.Header
	route  *route
	values pathValues
}

func (m *muxAnswer) Header() http.Header {
	if m.header == nil {
		m.header = make(http.Header)
	}
	return m.header
}
func (m *muxAnswer) Write(b []byte) (int, error) { return len(b), nil }
func (m *muxAnswer) WriteHeader(int)             {}
