package door

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
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

	// EncodedSlash accepts an encoded slash (%2F) in the path and takes it as a character of its segment, as in
	// /projects/group%2Fproj. Set it only if everything behind the handler splits a path before it decodes it: reverse_proxy
	// forwards the very bytes, but Caddy's path matchers, file_server and FastCGI decode first. In a scope, and in a
	// parameter that a policy reads, the slash stays %2F. A pattern may have it, too. A path that belongs to another entry
	// without EncodedSlash if its slashes are decoded is refused. Default: false, and such a path is refused.
	EncodedSlash bool `json:"encoded_slash,omitempty"`

	// Position is the file and the line of the Caddyfile, such as Caddyfile:12. The Caddyfile adapter sets it. Warnings about
	// the config name it; nothing else uses it. Default: none.
	Position string `json:"position,omitempty"`

	public bool // needs no token, and no scope
}

func (r *Requirement) check() error {
	if err := r.checkPattern(); err != nil {
		return err
	}
	if len(r.Scopes) == 0 && !r.public {
		return r.errorf("no scope is named")
	}
	return nil
}

// checkPattern fails on a method and a path that no request can match.
func (r *Requirement) checkPattern() error {
	switch {
	case r.Path == "":
		return errors.New("a route has no path")
	case !strings.Contains(r.Path, "/"):
		return r.errorf("the path has no /")
	case strings.ContainsAny(r.Path, " \t"):
		return r.errorf("the path has white space")
	case strings.Contains(r.Path, "{http."):
		return r.errorf("this parameter name is a placeholder of the Caddyfile; choose another")
	case r.notation() != "":
		return r.errorf("%s", r.notation())
	case httpguard.FoldHost(r.host()) != r.host():
		return r.errorf("the host is in lower case, without a port or a dot at its end, and an IPv6 address in its shortest form")
	case r.host() != "" && httpguard.AmbiguousHostname(r.host()) != "":
		return r.errorf("no request can match its host: %s", httpguard.AmbiguousHostname(r.host()))
	case strings.ToUpper(r.Method) != r.Method:
		return r.errorf("method %q is not in upper case", r.Method)
	case r.Method == http.MethodConnect:
		return r.errorf("no request can match the method CONNECT; a WebSocket is a GET")
	case r.ambiguity() != "":
		return r.errorf("no request can match its path: %s%s", r.ambiguity(), r.slashHint())
	}
	return nil
}

// errorf returns an error about the route.
func (r *Requirement) errorf(format string, args ...any) error {
	what := "requiring for"
	if r.public {
		what = "public route"
	}
	return fmt.Errorf("%s %q: %w", what, r.Pattern(), fmt.Errorf(format, args...))
}

// Pattern returns the method and the path, as net/http.ServeMux takes them.
func (r *Requirement) Pattern() string {
	if r.Method == "" {
		return r.Path
	}
	return r.Method + " " + r.Path
}

// host returns the host before the path, "" if there is none.
func (r *Requirement) host() string {
	host, _, _ := strings.Cut(r.Path, "/")
	return host
}

// ambiguity returns why the door refuses every request that could match the path, "" if it does not.
func (r *Requirement) ambiguity() string {
	var u url.URL
	for n, segment := range strings.Split(r.Path, "/") {
		if n > 0 { // before the path is the host
			literal := literalOf(segment)
			u.Path, u.RawPath = u.Path+"/"+literal, u.RawPath+"/"+url.PathEscape(literal)
		}
	}
	if r.EncodedSlash {
		return httpguard.AmbiguousSegments(&u)
	}
	return httpguard.AmbiguousPath(&u)
}

// slashHint names the option without which no request can match the path.
func (r *Requirement) slashHint() string {
	if with := (&Requirement{Path: r.Path, EncodedSlash: true}); !r.EncodedSlash && with.ambiguity() == "" {
		return "; encoded_slash takes it as a character of its segment"
	}
	return ""
}

// muxPatterns returns the patterns for the two muxes of Routes.
func (r *Requirement) muxPatterns() (exact, folded string) {
	exact = r.Pattern()
	if r.EncodedSlash {
		exact = markSlashes.Replace(exact)
	}
	return exact, foldPattern(exact)
}

// literalOf returns what ServeMux compares a segment of a pattern with. A parameter stands for itself.
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

// foldPattern returns the pattern with its literal segments in lower case, however they are encoded.
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

// shapeOf returns the path of a folded pattern without the names of its parameters, and without a slash at its end and what
// matches all below. /docs, /docs/, /docs/{$} and /docs/{rest...} have one shape.
func shapeOf(folded string) string {
	path := folded[strings.Index(folded, "/"):]
	at := strings.LastIndex(path, "/")
	if last := path[at+1:]; last == "" || last == "{$}" || strings.HasSuffix(last, "...}") {
		path = path[:at]
	}
	return parameterNames.ReplaceAllString(path, "/{}")
}

var parameterNames = regexp.MustCompile(`/\{([^}$]+?)(?:\.\.\.)?\}`)

// parametersOf returns the names of a pattern's parameters.
func parametersOf(path string) []string {
	var names []string
	for _, found := range parameterNames.FindAllStringSubmatch(path, -1) {
		names = append(names, found[1])
	}
	return names
}
