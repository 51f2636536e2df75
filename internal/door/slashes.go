package door

import (
	"net/url"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// slashMark stands for an encoded slash while a path is matched. ServeMux decodes a segment before it compares it: it takes
// the segment %2F for the end of the path, and {rest...} does not tell an encoded slash from a plain one. No path has this
// character otherwise, because the door refuses control characters.
const slashMark = "\x01"

// markSlashes replaces encoded slashes in an encoded path or a pattern.
var markSlashes = strings.NewReplacer("%2f", "%01", "%2F", "%01")

// withMarks returns the path of u with marks for its encoded slashes.
func withMarks(u *url.URL) *url.URL {
	escaped := markSlashes.Replace(u.EscapedPath())
	path, err := url.PathUnescape(escaped)
	if err != nil { // EscapedPath always has a valid encoding
		return u
	}
	return &url.URL{Path: path, RawPath: escaped}
}

// keepSlashes writes the marks in the values of a pattern's parameters as %2F, so that they differ from plain slashes. A
// value has no %2F otherwise, because the door refuses what is encoded twice.
func keepSlashes(values pathValues) {
	for n := range values {
		values[n].value = strings.ReplaceAll(values[n].value, slashMark, "%2F")
	}
}

// plainSlashes returns a marked path as a program reads it that decodes a path before it splits it, and merges slashes.
func plainSlashes(marked string) string {
	plain := strings.ReplaceAll(marked, slashMark, "/")
	for strings.Contains(plain, "//") {
		plain = strings.ReplaceAll(plain, "//", "/")
	}
	return plain
}

// movedOnly reports whether two paths with encoded slashes differ at most by a prefix, which has no encoded slash itself.
// Other changes of a path may have turned an encoded slash into a plain one, or the other way round.
func movedOnly(received, now *url.URL) bool {
	before, after := received.EscapedPath(), now.EscapedPath()
	if len(before) < len(after) {
		before, after = after, before
	}
	prefix, found := strings.CutSuffix(before, after)
	return found && !httpguard.HasEncodedSlash(&url.URL{RawPath: prefix})
}
