package suggest

import (
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	for _, c := range []struct{ name, known, want string }{
		{"polcy", "issuer policy registry", "policy"},
		{"raed", "edit read", "read"},
		{"bok", "book", "book"},
		{"idd", "description id", "id"},
		{"Disabled", "disabled", "disabled"},
		{"größe", "grösse", "grösse"},
		{"tets", "build check deps eval test", "test"},
		{"tset", "sets test", "test"},
		{"ttsl", "tts ttls", "ttls"},
		{"cat", "bat hat", "bat"},
		{"cat", "hat bat", "bat"},
		{"all", "ttl", ""},
		{"ttls", "ttl", "ttl"},
		{"title", "ttl", ""},
		{"x", "a", ""},
		{"", "ttl", ""},
		{"rejections", "rejected", ""},
		{strings.Repeat("a", 1<<20), "book read", ""},
		{"book", "", ""},
	} {
		if got := Nearest(c.name, slices.Values(strings.Fields(c.known))); got != c.want {
			t.Errorf("%.20q among %q: got %q, want %q", c.name, c.known, got, c.want)
		}
	}
}
