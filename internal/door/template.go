package door

import (
	"fmt"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// scopeTemplate is a required scope whose identifier may have path parameters: book:{id}:read.
type scopeTemplate struct {
	scope scope.Scope
	parts []templatePart // of the identifier
}

// templatePart is text, or the name of a path parameter. Text between two parameters begins with the separator of the
// first one. The value of that one never contains its separator, because fill escapes it there. So a filled template
// can be read in one way only, and two requests with different values never need the same scope.
type templatePart struct {
	text, parameter, separator string
}

// parseScopeTemplate reads a scope whose parameters the pattern must have.
func parseScopeTemplate(raw, pattern string) (scopeTemplate, error) {
	parsed, err := scope.Parse(raw)
	if err != nil {
		return scopeTemplate{}, err
	}
	if strings.ContainsAny(parsed.Resource+parsed.Action, "{}") {
		return scopeTemplate{}, fmt.Errorf("a path parameter stands in the identifier only")
	}
	t := scopeTemplate{scope: parsed}
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
		if !closed || !hasParameter(pattern, name) {
			return scopeTemplate{}, fmt.Errorf("the path has no parameter {%s}", name)
		}
		t.parts = append(t.parts, templatePart{parameter: name})
		rest = after
	}
	return t, t.separate()
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

// fill puts the path's values in. It fails on an empty value, which names nothing, and on a scope that is longer than
// a token can hold.
func (t scopeTemplate) fill(values map[string]string) (scope.Scope, bool) {
	var identifier strings.Builder
	for _, part := range t.parts {
		text := part.text
		if part.parameter != "" {
			if text = scope.EscapeIdentifier(values[part.parameter], part.separator); text == "" {
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
