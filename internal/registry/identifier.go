package registry

import (
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/percent"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// checkIdentifier reports an identifier that is not valid in a grant. An identifier that is escaped differently than a door
// escapes it would match no request, so that denying it would deny nothing.
func (d *decoder) checkIdentifier(at position, id string) {
	if id == "" {
		d.problems.add(at, "an identifier must not be empty")
		return
	}
	if err := scope.CheckIdentifier(id); err != nil {
		d.problems.add(at, "an identifier: %v", err)
		return
	}
	if canonical := canonicalIdentifier(id); id != canonical {
		advice := ""
		if isShown(canonical) { // it is short, and cannot be a secret
			advice = ": write " + quoted(canonical)
		}
		d.problems.add(at, `an identifier: "%%" is valid only in upper-case escapes such as %%C3, and not of letters or digits%s`, advice)
	}
}

// canonicalIdentifier returns an identifier as a door may write it. A door escapes characters that a scope cannot hold,
// "%", "*", and the separator between two parameters, which can be any character except letters and digits. So only
// letters and digits are never escaped. A "%" without two hex digits stands for itself.
func canonicalIdentifier(id string) string {
	var b strings.Builder
	for i := 0; i < len(id); i++ {
		c, escaped := percent.Decode(id[i:])
		switch {
		case !escaped && id[i] == '%':
			b.WriteString("%25")
		case !escaped:
			b.WriteByte(id[i])
		case isLetterOrDigit(c):
			b.WriteByte(c)
			i += len("5f")
		default:
			b.WriteString(strings.ToUpper(id[i : i+len("%5f")]))
			i += len("5f")
		}
	}
	return b.String()
}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
