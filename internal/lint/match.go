package lint

import (
	"path"
	"slices"
	"strings"
)

// covers reports whether each request that one of the inner matchers matches is also matched by one of the outer ones. It
// reports false if it is not certain.
func covers(outer, inner []Matcher) bool {
	if len(outer) == 0 {
		return true
	}
	if len(inner) == 0 {
		return slices.ContainsFunc(outer, func(o Matcher) bool { return o.covers(Matcher{}) })
	}
	for _, i := range inner {
		if !slices.ContainsFunc(outer, func(o Matcher) bool { return o.covers(i) }) {
			return false
		}
	}
	return true
}

func (m Matcher) covers(inner Matcher) bool {
	return (m.Other == "" || m.Other == inner.Other) &&
		eachCovered(m.Hosts, inner.Hosts, func(o, i string) bool { return o == i }) &&
		eachCovered(m.Paths, inner.Paths, coversPath)
}

// eachCovered reports whether each inner pattern is covered by an outer one. No patterns mean all requests.
func eachCovered(outer, inner []string, covers func(outer, inner string) bool) bool {
	if outer == nil {
		return true
	}
	for _, i := range inner {
		if !slices.ContainsFunc(outer, func(o string) bool { return covers(o, i) }) {
			return false
		}
	}
	return inner != nil || slices.Contains(outer, "*") || slices.Contains(outer, "/*")
}

// coversPath reports whether a pattern of Caddy's path matcher certainly matches all that another one matches.
func coversPath(outer, inner string) bool {
	if outer == inner || outer == "*" || outer == "/*" {
		return true
	}
	prefix, found := strings.CutSuffix(outer, "*")
	fixed, _, _ := strings.Cut(inner, "*")
	return found && isPlain(prefix) && isPlain(strings.TrimSuffix(inner, "*")) && strings.HasPrefix(fixed, prefix)
}

// isPlain reports whether a part of a pattern stands for itself.
func isPlain(pattern string) bool { return !strings.ContainsAny(pattern, `*?[\{%`) }

// matchesHost reports whether one of the patterns of a host matcher may match a host.
func matchesHost(patterns []string, host string) bool {
	return patterns == nil || slices.ContainsFunc(patterns, func(pattern string) bool {
		if strings.Contains(pattern, "{") {
			return true
		}
		matched, err := path.Match(strings.ReplaceAll(strings.ToLower(pattern), ".", "/"), strings.ReplaceAll(strings.ToLower(host), ".", "/"))
		return matched || err != nil
	})
}

// matchesPath reports whether a pattern of Caddy's path matcher may match a path.
func matchesPath(pattern, p string) bool {
	pattern, p = strings.ToLower(pattern), strings.ToLower(p)
	inside := strings.Trim(pattern, "*")
	switch {
	case pattern == "*", strings.ContainsAny(pattern, "{%"):
		return true
	case len(pattern) == len(inside)+2 && isPlain(inside):
		return strings.Contains(p, inside)
	case pattern == "*"+inside && isPlain(inside):
		return strings.HasSuffix(p, inside)
	case pattern == inside+"*" && isPlain(inside):
		return strings.HasPrefix(p, inside)
	}
	matched, err := path.Match(pattern, p)
	return matched || err != nil
}

// overlap reports whether a path may match both a pattern of Caddy's path matcher and one of net/http.ServeMux.
func overlap(pattern, mux string) bool {
	pattern, mux = strings.ToLower(pattern), strings.ToLower(mux)
	prefix, open := strings.CutSuffix(pattern, "*")
	switch {
	case strings.Contains(mux, "%"), !isPlain(prefix):
		return !isLiteral(mux) || strings.Contains(mux, "%") || matchesPath(pattern, mux)
	case open:
		return muxMayBeginWith(mux, prefix)
	}
	return muxMatches(mux, pattern)
}

// isLiteral reports whether a pattern of net/http.ServeMux matches only itself.
func isLiteral(mux string) bool { return !strings.Contains(mux, "{") && !strings.HasSuffix(mux, "/") }

// muxMatches reports whether a pattern of net/http.ServeMux matches a path.
func muxMatches(mux, p string) bool {
	want, got := strings.Split(mux, "/"), strings.Split(p, "/")
	for n, segment := range want {
		switch {
		case isRest(want, n):
			return len(got) > n
		case segment == "{$}":
			return len(got) == n+1 && got[n] == ""
		case n >= len(got), !segmentMatches(segment, got[n]):
			return false
		}
	}
	return len(got) == len(want)
}

// muxMayBeginWith reports whether a pattern of net/http.ServeMux matches a path that begins with a prefix.
func muxMayBeginWith(mux, prefix string) bool {
	want, got := strings.Split(mux, "/"), strings.Split(prefix, "/")
	for n, part := range got {
		last := n == len(got)-1
		switch {
		case n >= len(want):
			return false
		case isRest(want, n):
			return true
		case last && (want[n] == "{$}" && part == "" || isParameter(want[n]) && want[n] != "{$}" || strings.HasPrefix(want[n], part)):
			return true
		case last, want[n] == "{$}", !segmentMatches(want[n], part):
			return false
		}
	}
	return true
}

// isRest reports whether the n-th segment of a pattern stands for the rest of the path.
func isRest(segments []string, n int) bool {
	return strings.HasSuffix(segments[n], "...}") || n > 0 && n == len(segments)-1 && segments[n] == ""
}

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }

func segmentMatches(pattern, segment string) bool {
	return pattern == segment || isParameter(pattern) && segment != ""
}
