// Package uri compares the URIs that name audiences. It imports percent of this module.
package uri

import (
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/percent"
)

// Equal reports whether two URIs are equivalent by their syntax and scheme (RFC 3986 §6.2.2 and §6.2.3). Both must be texts
// that their authors meant as they are: use NamesOneOf for a claim of a token.
func Equal(a, b string) bool { return a == b || normal(a) == normal(b) }

// Among returns those of a list that are Equal to s.
func Among(list []string, s string) (equal []string) {
	s = normal(s) // once, because lists are long
	for _, other := range list {
		if normal(other) == s {
			equal = append(equal, other)
		}
	}
	return equal
}

// Contains reports whether a list has a URI that is Equal to s.
func Contains(list []string, s string) bool {
	if slices.Contains(list, s) {
		return true
	}
	s = normal(s)
	return slices.ContainsFunc(list, func(other string) bool { return normal(other) == s })
}

// SameSet reports whether each URI of one list is Equal to one of the other.
func SameSet(a, b []string) bool {
	isIn := func(list []string) func(string) bool {
		return func(s string) bool { return !Contains(list, s) }
	}
	return !slices.ContainsFunc(a, isIn(b)) && !slices.ContainsFunc(b, isIn(a))
}

// NamesOneOf reports whether one of the URIs in the aud claim of a token is one of the wanted ones. Letter case of scheme and
// host, the default port and the slash of an empty path make no difference, as in Equal. The rest must be the same text,
// because an issuer may have judged it as text: it may allow a client all audiences below https://api.example.com/a/, and
// then https://api.example.com/a/../b is not for b.
func NamesOneOf(claim, wanted []string) bool {
	if slices.ContainsFunc(claim, func(aud string) bool { return slices.Contains(wanted, aud) }) {
		return true
	}
	return slices.ContainsFunc(claim, func(aud string) bool {
		aud = split(aud).withNormalAuthority().String()
		return slices.ContainsFunc(wanted, func(want string) bool { return split(want).withNormalAuthority().String() == aud })
	})
}

// normal returns the normal form of a URI. It returns other texts as they are. A client chooses what is compared with all
// audiences of an issuer, and most are in their normal form, so that form costs no memory.
func normal(s string) string {
	given := split(s)
	if given.scheme == "" {
		return s
	}
	p := given.withNormalAuthority()
	p.path, p.query = normalEncoding(p.path), normalEncoding(p.query)
	if p.hasAuthority {
		p.path = withoutDotSegments(p.path)
	}
	if p == given {
		return s
	}
	return p.String()
}

// parts are the parts of a URI (RFC 3986 §3) without its fragment, which audiences do not have. The scheme is "" if the text
// is not a URI. Then path has all of it.
type parts struct {
	scheme       string
	authority    string
	hasAuthority bool
	path, query  string // query begins with "?" if there is one
}

func split(s string) parts {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return parts{path: s}
	}
	p := parts{scheme: scheme}
	if at := strings.IndexByte(rest, '?'); at >= 0 {
		rest, p.query = rest[:at], rest[at:]
	}
	if p.path = rest; strings.HasPrefix(rest, "//") {
		p.hasAuthority, p.authority, p.path = true, rest[2:], ""
		if at := strings.IndexByte(p.authority, '/'); at >= 0 {
			p.authority, p.path = p.authority[:at], p.authority[at:]
		}
	}
	return p
}

func isScheme(s string) bool {
	return s != "" && strings.IndexFunc(s, isNoSchemeRune) < 0 && strings.IndexByte("0123456789+-.", s[0]) < 0
}

func isNoSchemeRune(r rune) bool {
	return r > 0x7e || !isUnreserved(byte(r)) && r != '+' || r == '_' || r == '~'
}

// String returns the URI.
func (p parts) String() string {
	switch {
	case p.scheme == "":
		return p.path
	case p.hasAuthority:
		return p.scheme + "://" + p.authority + p.path + p.query
	}
	return p.scheme + ":" + p.path + p.query
}

// withNormalAuthority returns p with scheme and host in lower case (RFC 3986 §6.2.2.1), without the scheme's default port, and
// with a path (§6.2.3).
func (p parts) withNormalAuthority() parts {
	p.scheme = lower(p.scheme)
	if !p.hasAuthority {
		return p
	}
	user, host := "", p.authority
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		user, host = host[:at+1], host[at+1:]
	}
	p.authority = user + withoutDefaultPort(lower(host), p.scheme)
	if p.path == "" {
		p.path = "/"
	}
	return p
}

var defaultPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443"}

// withoutDefaultPort also removes an empty port. It leaves an authority that is not well-formed.
func withoutDefaultPort(authority, scheme string) string {
	at := strings.LastIndexByte(authority, ':')
	if at < 0 {
		return authority
	}
	host, port := authority[:at], authority[at+1:]
	isHost := strings.HasSuffix(host, "]") || !strings.Contains(host, ":")
	if isHost && (port == "" || port == defaultPorts[scheme]) {
		return host
	}
	return authority
}

// lower changes only ASCII letters, because no others are equal in a host.
func lower(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' }) < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// normalEncoding decodes unreserved characters, and writes the percent-encoding of others in upper case (RFC 3986 §6.2.2.1
// and §6.2.2.2). It leaves a text whose percent-encoding is not well-formed.
func normalEncoding(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		c, ok := percent.Decode(s[i:])
		switch {
		case !ok:
			return s
		case isUnreserved(c):
			b.WriteByte(c)
		default:
			b.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

// isUnreserved reports whether a byte is one of the unreserved characters of RFC 3986 §2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// withoutDotSegments resolves the segments "." and ".." of an absolute path (RFC 3986 §5.2.4).
func withoutDotSegments(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path, "/")[1:]
	last := segments[len(segments)-1]
	var kept []string
	for _, segment := range segments {
		switch segment {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	if last == "." || last == ".." {
		kept = append(kept, "")
	}
	return "/" + strings.Join(kept, "/")
}
