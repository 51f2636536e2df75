// Package scope holds the scope grammar, the only place that says what a scope means.
//
// A scope is resource:identifier:action, with short forms:
//
//	book:1:read                     one book, one action
//	book:*:read   = book:read       every book, that action
//	book:*:*      = book:* = book   everything on book
//	*:*:*         = *:*    = *      everything
//
// The first segment is the resource and the last the action, so an identifier may itself contain
// colons. Of two segments the second is an action, never an identifier. A resource and an action
// are a literal or "*"; an identifier may also end in "*", and is then a prefix.
package scope

import (
	"errors"
	"fmt"
	"strings"
)

// MaxLength is the greatest number of bytes that one scope may have.
const MaxLength = 512

// Any is the segment that stands for every value.
const Any = "*"

// Scope is one parsed scope. The zero Scope covers nothing but itself.
type Scope struct {
	// Raw is the scope as it was written; answers echo it verbatim.
	Raw string `json:"raw"`
	// Resource is a resource's code, or "*".
	Resource string `json:"resource"`
	// Identifier is one identifier, a prefix that ends in "*", or "*".
	Identifier string `json:"identifier"`
	// Action is one action, or "*".
	Action string `json:"action"`
}

// Parse reads one scope. It fails on a character outside RFC 6749's scope-token (§3.3), an empty
// segment, a "*" where the grammar has none, and on more than MaxLength bytes. Its errors do not
// repeat the scope, so that they may be shown to whoever sent it.
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

// ParseList reads a space-separated list of scopes (RFC 6749 §3.3), keeps their order, and drops
// repetitions. It fails on the first scope that Parse refuses, naming its position, and on more
// than limit scopes.
func ParseList(list string, limit int) ([]Scope, error) {
	var scopes []Scope
	seen := make(map[string]bool)
	for raw := range strings.SplitSeq(list, " ") {
		if raw == "" || seen[raw] {
			continue
		}
		if len(scopes) == limit {
			return nil, fmt.Errorf("more than %d scopes", limit)
		}
		s, err := Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("scope %d: %w", len(scopes)+1, err)
		}
		seen[raw] = true
		scopes = append(scopes, s)
	}
	return scopes, nil
}

// String is the three-segment form.
func (s Scope) String() string {
	return s.Resource + ":" + s.Identifier + ":" + s.Action
}

// Covers reports whether every (resource, identifier, action) of b is one of s.
func (s Scope) Covers(b Scope) bool {
	return coversName(s.Resource, b.Resource) &&
		coversIdentifier(s.Identifier, b.Identifier) &&
		coversName(s.Action, b.Action)
}

// Overlaps reports whether some (resource, identifier, action) is of both.
func (s Scope) Overlaps(b Scope) bool {
	return (coversName(s.Resource, b.Resource) || coversName(b.Resource, s.Resource)) &&
		(coversIdentifier(s.Identifier, b.Identifier) || coversIdentifier(b.Identifier, s.Identifier)) &&
		(coversName(s.Action, b.Action) || coversName(b.Action, s.Action))
}

// CheckResource says what is wrong with a resource's code in a registry, where "*" is none.
func CheckResource(code string) error { return checkLiteral("resource", code) }

// CheckAction says what is wrong with an action's name in a registry, where "*" is none.
func CheckAction(name string) error { return checkLiteral("action", name) }

// CheckIdentifier says what is wrong with an identifier, a prefix or "*".
func CheckIdentifier(id string) error {
	if err := checkToken(id); err != nil {
		return err
	}
	if i := strings.IndexByte(id, '*'); i >= 0 && i != len(id)-1 {
		return errors.New(`"*" stands only at the end of an identifier`)
	}
	return nil
}

// EscapeIdentifier turns any text, such as a path segment of a request, into an identifier that
// stands for just that text: what a scope cannot hold, "%" and "*" are percent-encoded, so that
// nobody can widen a scope by what they put into a path. So are the characters of also.
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

// checkToken holds RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
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

// coversIdentifier: "*" is the empty prefix, and a prefix covers what begins with it, be that an
// identifier or a longer prefix.
func coversIdentifier(a, b string) bool {
	prefix, isPrefix := strings.CutSuffix(a, Any)
	if isPrefix {
		return strings.HasPrefix(b, prefix)
	}
	return a == b
}
