package cli

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// The table of a status fits into a terminal of 100 columns, and no two columns have the same heading.
func TestStatusFits(t *testing.T) {
	long := strings.Repeat("f", 64)
	issuer := api.IssuerStatus{
		Issuer:   "https://auth.internal.platform.example.com/tenants/catalogue",
		Registry: api.RegistryStatus{Source: "storage", Revision: "18446744073709551615"},
		Policy:   api.PolicyStatus{Source: "bundle", Revision: long + "@d623fc5a8b378f46"},
		Keys:     api.KeysStatus{Count: 10}, Revocations: api.FetchedStatus{Count: 10000000, Age: 86399},
	}
	remote := api.RemoteStatus{Issuer: issuer.Issuer, Revocations: &issuer.Revocations}
	door := api.DoorStatus{Issuer: issuer.Issuer, Audience: []string{issuer.Issuer}, Policy: issuer.Policy}
	var out bytes.Buffer
	s := &session{out: &stickyWriter{w: &out}}
	s.printStatus(api.Status{
		Issuers: []api.IssuerStatus{issuer, issuer}, Remotes: []api.RemoteStatus{remote}, Doors: []api.DoorStatus{door, door},
	})
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(line) > 101 {
			t.Errorf("wider than 100 columns: %s", line)
		}
		headings := make(map[string]bool)
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(line, "PART") && headings[word] {
				t.Errorf("the heading %s stands twice: %s", word, line)
			}
			headings[word] = true
		}
	}
	if n := strings.Count(out.String(), "\n\n"); n != 4 {
		t.Errorf("%d blank lines:\n%s", n, &out)
	}
}
