package registry

import (
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

func TestCanonicalIdentifiersAreTaken(t *testing.T) {
	for _, id := range []string{
		"*", "1", "a:b", "a/b+c&d=e;f", "caf%C3%A9", "caf%C3*", "100%25", "100%25*", "%2A", "%2A*", "a%20b", "%22%5C%00%7F", "%2541", "a%3Ab", "a%2Db", "acme%3Aevil",
	} {
		for _, effect := range []string{"allow", "deny"} {
			if _, err := Parse("r.yaml", []byte(identifierOf(id, effect))); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

// FuzzIdentifierAdvice: an identifier that a door can write is valid, and so is the advice for any other.
func FuzzIdentifierAdvice(f *testing.F) {
	for _, seed := range []string{"caf\u00e9", "100%", "%c3%A9*", "%%2a", "%2541", "a%3Ab", "a%2Db", "a%", "%zz*", "\xff%ff", "*"} {
		f.Add(seed, ":-")
	}
	f.Fuzz(func(t *testing.T, text, separators string) {
		if strings.ContainsFunc(separators, func(r rune) bool { return r > 0x7f || isLetterOrDigit(byte(r)) }) {
			return
		}
		door := scope.EscapeIdentifier(text, separators)
		for _, id := range []string{door, door + "*"} {
			if got := canonicalIdentifier(id); got != id {
				t.Errorf("%q, as a door writes it, is to be %q", id, got)
			}
		}
		if scope.CheckIdentifier(text) != nil {
			return
		}
		advice := canonicalIdentifier(text)
		if again := canonicalIdentifier(advice); again != advice {
			t.Errorf("the advice for %q is %q, and for that %q", text, advice, again)
		}
		if strings.HasSuffix(text, "*") != strings.HasSuffix(advice, "*") {
			t.Errorf("the advice for %q is %q", text, advice)
		}
		if !strings.Contains(text, "%") && advice != text {
			t.Errorf("%q is to be %q", text, advice)
		}
	})
}
