package registry

import (
	"encoding/hex"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// checkIdentifier reports what is wrong with an identifier of a grant. One that is escaped otherwise
// than a door does it would match no request, and to deny it would deny nothing.
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
		d.problems.add(at, `an identifier: "%%" stands only in upper-case escapes such as %%C3, of no letter or digit%s`, advice(canonical))
	}
}

// advice ends the message, unless what it would show is too long or may be a secret.
func advice(canonical string) string {
	if !isShown(canonical) {
		return ""
	}
	return ": write " + quoted(canonical)
}

// canonicalIdentifier is an identifier as a door may write it. A door escapes what a scope cannot
// hold, "%", "*" and also what separates two parameters, which may be anything: of the rest only
// letters and digits are held to be never escaped. A "%" without two hex digits means itself.
func canonicalIdentifier(id string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(id, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		digits := after[:min(2, len(after))]
		c, err := hex.DecodeString(digits)
		switch {
		case err != nil || len(c) == 0:
			b.WriteString("%25")
			digits = ""
		case isLetterOrDigit(c[0]):
			b.WriteByte(c[0])
		default:
			b.WriteString("%" + strings.ToUpper(digits))
		}
		id = after[len(digits):]
	}
}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
