package door

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// scopeTemplate is a required scope whose identifier may have path parameters: book:{id}:read.
type scopeTemplate struct {
	scope        scope.Scope
	parts        []templatePart // of the identifier
	encodedSlash bool           // values may have a slashMark, which is %2F in the scope
}

// templatePart is text, or the name of a path parameter. Text between two parameters begins with the separator of the
// first one. The value of that one never contains its separator, because fill escapes it there. So a filled template
// can be read in one way only, and two requests with different values never need the same scope.
type templatePart struct {
	text, parameter, separator string
}

// parseScopeTemplate reads a scope of a requirement, whose pattern must have the scope's parameters.
func parseScopeTemplate(raw string, r *Requirement) (scopeTemplate, error) {
	parsed, err := scope.Parse(raw)
	if err != nil {
		return scopeTemplate{}, err
	}
	if strings.ContainsAny(parsed.Resource+parsed.Action, "{}") {
		return scopeTemplate{}, fmt.Errorf("a path parameter stands in the identifier only")
	}
	t := scopeTemplate{scope: parsed, encodedSlash: r.EncodedSlash}
	for rest := parsed.Identifier; rest != ""; {
		text, after, found := strings.Cut(rest, "{")
		if strings.Contains(text, "}") {
			return scopeTemplate{}, fmt.Errorf("a } has no {")
		}
		if text != "" {
			t.parts = append(t.parts, templatePart{text: text})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed || !hasParameter(r.Path, name) {
			return scopeTemplate{}, fmt.Errorf("the path has no parameter {%s}", name)
		}
		t.parts = append(t.parts, templatePart{parameter: name})
		rest = after
	}
	if err := t.separate(); err != nil {
		return scopeTemplate{}, err
	}
	return t, t.checkSlashes(r.Path)
}

// checkSlashes fails if a slash and an encoded slash of a value would look alike: a slash is %2F where it separates.
func (t scopeTemplate) checkSlashes(pattern string) error {
	for _, part := range t.parts {
		if t.encodedSlash && part.separator == "/" && strings.Contains(pattern, "/{"+part.parameter+"...}") {
			return fmt.Errorf("a slash stands after {%s}, whose own slashes would look like encoded ones", part.parameter)
		}
	}
	return nil
}

// separate finds the separator of each parameter that another one follows. It fails where an escaped value could
// contain the text between the two.
func (t scopeTemplate) separate() error {
	previous := -1 // the last parameter
	for n, part := range t.parts {
		if part.parameter == "" {
			continue
		}
		if previous >= 0 {
			before := &t.parts[previous]
			if previous == n-1 {
				return fmt.Errorf("nothing stands between {%s} and {%s}", before.parameter, part.parameter)
			}
			between := t.parts[previous+1].text
			if strings.Contains(between, "%") {
				return fmt.Errorf("%q stands between {%s} and {%s}; a value may contain a %%, because characters are percent-encoded in it",
					between, before.parameter, part.parameter)
			}
			if isLetterOrDigit(between[0]) {
				return fmt.Errorf("what stands after {%s} begins with a letter or digit, which a value may contain", before.parameter)
			}
			before.separator = between[:1]
		}
		previous = n
	}
	return nil
}

// isLetterOrDigit reports whether c may be part of a percent-encoding, or is never encoded itself.
func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func hasParameter(pattern, name string) bool {
	return name != "" && name != "$" &&
		(strings.Contains(pattern, "/{"+name+"}") || strings.Contains(pattern, "/{"+name+"...}"))
}

func (t scopeTemplate) hasParameters() bool {
	return slices.ContainsFunc(t.parts, func(part templatePart) bool { return part.parameter != "" })
}

// fill puts the path's values in. It fails on an empty value, which names nothing, and on a scope that is longer than
// a token can hold.
func (t scopeTemplate) fill(values pathValues) (scope.Scope, bool) {
	var identifier strings.Builder
	for _, part := range t.parts {
		text := part.text
		if part.parameter != "" {
			if text = t.escape(values.get(part.parameter), part.separator); text == "" {
				return scope.Scope{}, false
			}
		}
		identifier.WriteString(text)
	}
	filled := t.scope
	filled.Identifier = identifier.String()
	filled.Raw = filled.String()
	return filled, len(filled.Raw) <= scope.MaxLength
}

// escape escapes a value for an identifier. An encoded slash stays what it was in the path.
func (t scopeTemplate) escape(value, separator string) string {
	text := scope.EscapeIdentifier(value, separator)
	if t.encodedSlash {
		return strings.ReplaceAll(text, "%01", "%2F")
	}
	return text
}
