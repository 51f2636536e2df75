package httpguard

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/caddy-m2m/caddy-m2m/internal/percent"
)

// AmbiguousPath says why the path of u may be read differently by two parsers, "" when it may
// not. A request with such a path is to be refused, never cleaned: what the gateway would make of
// it need not be what the upstream makes of it. Refused are, written plainly or percent-encoded:
//
//   - an encoded "/", which some parsers decode before they split the path;
//   - "\", which some take for "/";
//   - empty segments, and the segments "." and "..", which some resolve;
//   - ";", where some cut path parameters off;
//   - an encoded "?" or "#", where a parser that reads the decoded path again ends it;
//   - control characters, NUL among them, and what is not UTF-8;
//   - percent-encoding that was encoded once more, for who decodes twice;
//   - a path that does not begin with "/", and a URL without one.
//
// The reason repeats nothing of the path.
func AmbiguousPath(u *url.URL) (reason string) {
	if u.Opaque != "" || !strings.HasPrefix(u.Path, "/") {
		return "the path does not begin with a slash"
	}
	if hasEncodedSlash(u.EscapedPath()) || hasEncodedSlash(u.RawPath) {
		return "an encoded slash in the path"
	}
	if reason := ambiguousText(u.Path); reason != "" {
		return reason
	}
	return ambiguousSegment(u.Path)
}

// hasEncodedSlash looks for %2f in either case.
func hasEncodedSlash(escaped string) bool {
	return strings.Contains(escaped, "%2f") || strings.Contains(escaped, "%2F")
}

func isEncoded(s string) bool {
	_, ok := percent.Decode(s)
	return ok
}

func ambiguousText(path string) string {
	if !utf8.ValidString(path) {
		return "the path is not UTF-8"
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c < 0x20 || c == 0x7f:
			return "a control character in the path"
		case c == '\\':
			return "a backslash in the path"
		case c == ';':
			return "a semicolon in the path"
		case c == '?' || c == '#':
			return "an encoded question mark or number sign in the path"
		case isEncoded(path[i:]):
			return "a part of the path is percent-encoded twice"
		}
	}
	return ""
}

func ambiguousSegment(path string) string {
	if strings.Contains(path, "//") {
		return "an empty segment in the path"
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "a dot segment in the path"
		}
	}
	return ""
}
