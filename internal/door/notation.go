package door

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	// parameterSegment matches what net/http.ServeMux takes for a parameter.
	parameterSegment = regexp.MustCompile(`^\{(?:[\pL_][\pL\p{Nd}_]*(?:\.\.\.)?|\$)\}$`)
	// colonSegment matches a parameter of other routers.
	colonSegment = regexp.MustCompile(`^:([A-Za-z_][A-Za-z0-9_]*)$`)
)

// notation returns why the path is written for another router than net/http.ServeMux, which would match it with the
// characters as they are, and how to write it. It returns "" if it is not.
func (r *Requirement) notation() string {
	path := r.Path[len(r.host()):]
	switch {
	case strings.Contains(r.Path, "://"):
		return "a pattern has no scheme: it is /path or host/path"
	case strings.HasPrefix(r.host(), "*."):
		return fmt.Sprintf("the host has no wildcard; without a host, as in %s, the pattern is for all hosts of the site", path)
	case strings.Contains(path, "*"):
		return wildcard(path)
	case strings.ContainsAny(path, "^<>[]|\"`"):
		return "a pattern is not a regular expression, and a parameter is {id}; the characters ^<>[]|\"` themselves are percent-encoded"
	}
	for segment := range strings.SplitSeq(path, "/") {
		if found := colonSegment.FindStringSubmatch(segment); found != nil {
			return fmt.Sprintf("%s is not a parameter; write {%s}, and %%3A for the character itself", segment, found[1])
		}
		if strings.Contains(segment, "{") && !parameterSegment.MatchString(segment) {
			return "a parameter is a whole segment and a name of letters, digits and _: {id}, or {rest...} for the rest of the path"
		}
	}
	return ""
}

// wildcard returns how a pattern with a * is written.
func wildcard(path string) string {
	const plain = "a * in the path is not a wildcard; "
	n := strings.LastIndex(path, "/")
	base, last := path[:n], path[n+1:]
	if strings.Contains(base, "*") || last != "*" && last != "**" && !isParameter(last) {
		return plain + "one segment is {id}, all below a path is /path/{rest...}, and the character itself is %2A"
	}
	return fmt.Sprintf("%swrite %s/{id} for one segment, %s/{rest...} for all below, and %%2A for the character itself", plain, base, base)
}
