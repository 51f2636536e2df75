package policy

import (
	"slices"
	"strconv"
	"strings"
)

// maskable are the members of a line of the decision log that a mask may change.
var maskable = []string{"input", "result"}

// parsePointer reads a JSON pointer (RFC 6901) to one of the maskable members, or into it.
func parsePointer(text string) ([]string, bool) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return nil, false
	}
	path := strings.Split(rest, "/")
	for i, token := range path {
		if path[i], ok = unescape(token); !ok {
			return nil, false
		}
	}
	return path, slices.Contains(maskable, path[0])
}

// unescape reads ~1 as a slash and ~0 as a tilde (RFC 6901 §4).
func unescape(token string) (string, bool) {
	if strings.Count(token, "~") != strings.Count(token, "~0")+strings.Count(token, "~1") {
		return "", false
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(token), true
}

// index reads a token that points into an array of n elements (RFC 6901 §4).
func index(token string, n int) (int, bool) {
	i, err := strconv.Atoi(token)
	return i, err == nil && i >= 0 && i < n && strconv.Itoa(i) == token
}

// remove removes a value. In an array it leaves null, so that other pointers stay valid.
func remove(event map[string]any, path []string) bool {
	last := path[len(path)-1]
	switch parent := walk(event, path[:len(path)-1]).(type) {
	case map[string]any:
		if _, ok := parent[last]; ok {
			delete(parent, last)
			return true
		}
	case []any:
		if i, ok := index(last, len(parent)); ok {
			parent[i] = nil
			return true
		}
	}
	return false
}

// walk returns the value at a path, or nil.
func walk(value any, path []string) any {
	for _, token := range path {
		switch node := value.(type) {
		case map[string]any:
			value = node[token]
		case []any:
			i, ok := index(token, len(node))
			if !ok {
				return nil
			}
			value = node[i]
		default:
			return nil
		}
	}
	return value
}

// upsert sets a value, and creates the objects on its path.
func upsert(event map[string]any, path []string, value any) bool {
	var node any = event
	last := path[len(path)-1]
	for _, token := range path[:len(path)-1] {
		if object, ok := node.(map[string]any); ok {
			if _, exists := object[token]; !exists {
				object[token] = map[string]any{}
			}
		}
		node = walk(node, []string{token})
	}
	switch parent := node.(type) {
	case map[string]any:
		parent[last] = value
		return true
	case []any:
		if i, ok := index(last, len(parent)); ok {
			parent[i] = value
			return true
		}
	}
	return false
}
