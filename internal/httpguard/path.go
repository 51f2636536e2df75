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
	if HasEncodedSlash(u) {
		return "an encoded slash in the path"
	}
	if reason := ambiguousText(u.Path); reason != "" {
		return reason
	}
	if strings.Contains(u.Path, "//") {
		return emptySegment
	}
	return dotSegment(u.Path)
}

// AmbiguousSegments is AmbiguousPath for an upstream that splits a path before it decodes its segments. To such an upstream an
// encoded slash is a character of its segment, so it is not ambiguous. The parts of a segment between encoded slashes may be
// empty, but not "." or "..". A path whose plain form would be sent instead of the encoded one is refused: its encoded slashes
// would be lost.
func AmbiguousSegments(u *url.URL) (reason string) {
	escaped := u.EscapedPath()
	switch {
	case u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || !strings.HasPrefix(escaped, "/"):
		return "the path does not begin with a slash"
	case u.RawPath != "" && u.RawPath != escaped:
		return "an encoded slash beside characters that must be encoded, too"
	case strings.Contains(escaped, "//"):
		return emptySegment
	}
	if reason := ambiguousText(u.Path); reason != "" {
		return reason
	}
	return dotSegment(u.Path)
}

// HasEncodedSlash reports whether the path has %2f in either case. The encoding that a URL chooses itself never has it.
func HasEncodedSlash(u *url.URL) bool {
	return u.RawPath != "" && (strings.Contains(u.RawPath, "%2f") || strings.Contains(u.RawPath, "%2F"))
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

const emptySegment = "an empty segment in the path"

func dotSegment(path string) string {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "a dot segment in the path"
		}
	}
	return ""
}
