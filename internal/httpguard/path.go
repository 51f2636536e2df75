package httpguard

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/caddy-m2m/caddy-m2m/internal/percent"
)

// AmbiguousPath returns why two parsers may read the path of u differently, or "" if they may not. Refuse a request with such
// a path. Do not clean the path, because the upstream may clean it differently. These are ambiguous, plain or
// percent-encoded:
//
//   - an encoded "/", which some parsers decode before they split the path;
//   - "\", which some parsers take for "/";
//   - empty segments, and the segments "." and "..", which some parsers resolve;
//   - ";", where some parsers cut off path parameters;
//   - an encoded "?" or "#", where a parser of the decoded path ends it;
//   - control characters and invalid UTF-8;
//   - what is percent-encoded twice, because some parsers decode twice;
//   - a path that does not begin with "/", and a URL without one.
//
// The reason does not repeat the path.
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

// hasEncodedSlash finds %2f in either case.
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
