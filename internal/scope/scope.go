// Package scope defines the scope grammar and which scopes cover which. Start with Parse and Scope.Covers. The package imports
// no other package of this module.
//
// A scope is resource:identifier:action, with short forms:
//
//	book:1:read                     one book, one action
//	book:*:read   = book:read       every book, that action
//	book:*:*      = book:* = book   everything on book
//	*:*:*         = *:*    = *      everything
//
// The first segment is the resource and the last is the action, so an identifier may contain colons. Of two segments the
// second is an action, never an identifier. A resource or an action is a literal or "*". An identifier may also end in "*",
// which makes it a prefix.
package scope

import (
	"errors"
	"fmt"
	"strings"
)

// MaxLength is the maximum length of a scope, in bytes.
const MaxLength = 512

// Any is the segment that stands for every value.
const Any = "*"

// Scope is a parsed scope. The zero Scope covers only itself.
type Scope struct {
	// Raw is the scope as it was written. Responses repeat it verbatim.
	Raw string `json:"raw"`
	// Resource is a resource's code, or "*".
	Resource string `json:"resource"`
	// Identifier is one identifier, a prefix that ends in "*", or "*".
	Identifier string `json:"identifier"`
	// Action is one action, or "*".
	Action string `json:"action"`
}

// Parse reads one scope. It fails on a character outside the scope-token of RFC 6749 §3.3, an empty segment, a "*" where the
// grammar has none, and on more than MaxLength bytes. Its errors do not repeat the scope.
func Parse(raw string) (Scope, error) {
	if err := checkToken(raw); err != nil {
		return Scope{}, err
	}
	s := Scope{Raw: raw, Identifier: Any, Action: Any}
	first, last := strings.IndexByte(raw, ':'), strings.LastIndexByte(raw, ':')
	switch {
	case first < 0:
		s.Resource = raw
	case first == last:
		s.Resource, s.Action = raw[:first], raw[first+1:]
	default:
		s.Resource, s.Identifier, s.Action = raw[:first], raw[first+1:last], raw[last+1:]
	}
	if err := s.check(); err != nil {
		return Scope{}, err
	}
	return s, nil
}

// ErrTooMany is in the error of ParseList for a list with more scopes than the limit.
var ErrTooMany = errors.New("scopes")

// ParseList reads a space-separated list of scopes (RFC 6749 §3.3). It keeps their order and drops repeated ones. It fails on
// the first scope that Parse refuses, with its position, and on more than limit scopes.
func ParseList(list string, limit int) ([]Scope, error) {
	var scopes []Scope
	seen := make(map[string]bool)
	for raw := range strings.SplitSeq(list, " ") {
		if raw == "" || seen[raw] {
			continue
		}
		if len(scopes) == limit {
			return nil, fmt.Errorf("more than %d %w", limit, ErrTooMany)
		}
		s, err := Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("scope %d: %w", len(scopes)+1, err)
		}
		seen[raw] = true
		if scopes == nil {
			scopes = make([]Scope, 0, min(strings.Count(list, " ")+1, limit))
		}
		scopes = append(scopes, s)
	}
	return scopes, nil
}

// String returns the form of three segments.
func (s Scope) String() string {
	return s.Resource + ":" + s.Identifier + ":" + s.Action
}

// Covers reports whether every (resource, identifier, action) of b is one of s.
func (s Scope) Covers(b Scope) bool {
	return coversName(s.Resource, b.Resource) &&
		coversIdentifier(s.Identifier, b.Identifier) &&
		coversName(s.Action, b.Action)
}

// Overlaps reports whether some (resource, identifier, action) is in both.
func (s Scope) Overlaps(b Scope) bool {
	return (coversName(s.Resource, b.Resource) || coversName(b.Resource, s.Resource)) &&
		(coversIdentifier(s.Identifier, b.Identifier) || coversIdentifier(b.Identifier, s.Identifier)) &&
		(coversName(s.Action, b.Action) || coversName(b.Action, s.Action))
}

// Intersect returns the scope of every (resource, identifier, action) that is in both. It returns false if there is none, and if
// that scope would be longer than MaxLength.
func (s Scope) Intersect(b Scope) (both Scope, ok bool) {
	switch {
	case !s.Overlaps(b):
		return Scope{}, false
	case s.Covers(b):
		return b, true
	case b.Covers(s):
		return s, true
	}
	both = s
	if coversName(s.Resource, b.Resource) {
		both.Resource = b.Resource
	}
	if coversIdentifier(s.Identifier, b.Identifier) {
		both.Identifier = b.Identifier
	}
	if coversName(s.Action, b.Action) {
		both.Action = b.Action
	}
	both.Raw = both.String()
	return both, len(both.Raw) <= MaxLength
}

// CheckResource returns an error if a resource's code is not valid in a registry, where "*" is not allowed.
func CheckResource(code string) error { return checkLiteral("resource", code) }

// CheckAction returns an error if an action's name is not valid in a registry, where "*" is not allowed.
func CheckAction(name string) error { return checkLiteral("action", name) }

// CheckIdentifier returns an error unless id is an identifier, a prefix or "*".
func CheckIdentifier(id string) error {
	if err := checkToken(id); err != nil {
		return err
	}
	if i := strings.IndexByte(id, '*'); i >= 0 && i != len(id)-1 {
		return errors.New(`"*" stands only at the end of an identifier`)
	}
	return nil
}

// EscapeIdentifier converts any text, such as a path segment of a request, to an identifier that stands for just that text. It
// percent-encodes "%", "*" and what a scope cannot contain, so that a path cannot widen a scope, and the characters of also.
func EscapeIdentifier(text, also string) string {
	const upperHex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if isTokenChar(c) && c != '*' && c != '%' && strings.IndexByte(also, c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
	}
	return b.String()
}

func (s Scope) check() error {
	if s.Resource != Any {
		if err := checkLiteral("resource", s.Resource); err != nil {
			return err
		}
	}
	if s.Action != Any {
		if err := checkLiteral("action", s.Action); err != nil {
			return err
		}
	}
	if s.Identifier == "" {
		return errors.New("empty identifier")
	}
	return CheckIdentifier(s.Identifier)
}

func checkLiteral(what, name string) error {
	if name == "" {
		return fmt.Errorf("empty %s", what)
	}
	if err := checkToken(name); err != nil {
		return err
	}
	if i := strings.IndexAny(name, ":*"); i >= 0 {
		return fmt.Errorf("%q in %s", name[i:i+1], what)
	}
	return nil
}

// checkToken checks RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
func checkToken(s string) error {
	if s == "" {
		return errors.New("empty scope")
	}
	if len(s) > MaxLength {
		return fmt.Errorf("longer than %d bytes", MaxLength)
	}
	for i := range len(s) {
		if !isTokenChar(s[i]) {
			return fmt.Errorf("character 0x%02x at byte %d is not allowed", s[i], i+1)
		}
	}
	return nil
}

func isTokenChar(c byte) bool {
	return c > 0x20 && c < 0x7f && c != '"' && c != '\\'
}

func coversName(a, b string) bool { return a == Any || a == b }

// coversIdentifier reports whether a covers b. A prefix covers the identifiers and the longer prefixes that begin with it, and
// "*" is the empty prefix.
func coversIdentifier(a, b string) bool {
	prefix, isPrefix := strings.CutSuffix(a, Any)
	if isPrefix {
		return strings.HasPrefix(b, prefix)
	}
	return a == b
}
