package interop_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"
)

// spirePrograms has the programs that the module in tests/spire builds.
var spirePrograms = flag.String("spire", "", "folder with the programs of SPIRE; without it, their test is skipped")

const jwtSPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"

// startSPIRERecipe runs the recipe with a real server, agent and discovery provider of SPIRE.
func startSPIRERecipe(t *testing.T, withIssuer bool) (*recipe, *spire) {
	t.Helper()
	if *spirePrograms == "" {
		t.Skip("it needs SPIRE; run it with -spire <folder>")
	}
	s := startSPIRE(t, withIssuer)
	r := newRecipe(t, "## SPIRE", "https://spire.example.com", s.issuer, "/run/spire/agent.sock", s.dir+"/agent.sock")
	r.run()
	return r, s
}

// TestSPIREWithIssuer runs the recipe's script where JWT-SVIDs have an iss.
func TestSPIREWithIssuer(t *testing.T) {
	r, _ := startSPIRERecipe(t, true)
	answer := r.shell(r.block("sh", 1), "PATH="+*spirePrograms+":"+os.Getenv("PATH"))
	if got := r.call(answer); got != "GET /books/2024-1 for books" {
		t.Errorf("the API sees %q", got)
	}
}

// TestSPIRE runs the recipe's script where JWT-SVIDs have no iss, as is the default, and then shows other JWT-SVIDs.
func TestSPIRE(t *testing.T) {
	r, s := startSPIRERecipe(t, false)
	answer := r.shell(r.block("sh", 1), "PATH="+*spirePrograms+":"+os.Getenv("PATH"))
	if got := r.call(answer); got != "GET /books/2024-1 for books" {
		t.Errorf("the API sees %q", got)
	}
	for name, c := range map[string]struct {
		assertionType, svid string
		status              int
	}{
		"the audience":             {jwtSPIFFE, s.svid(r.issuer()), http.StatusOK},
		"another audience":         {jwtSPIFFE, s.svid("https://other.example.com"), http.StatusUnauthorized},
		"two audiences":            {jwtSPIFFE, s.svid(r.issuer(), "https://other.example.com"), http.StatusUnauthorized},
		"as any other assertion":   {jwtBearer, s.svid(r.issuer()), http.StatusOK}, // RFC 7523 names the issuer's keys as well
		"with another signature":   {jwtSPIFFE, s.svid(r.issuer()) + "A", http.StatusUnauthorized},
		"of a SPIFFE ID elsewhere": {jwtSPIFFE, strings.Replace(s.svid(r.issuer()), ".", ".e30", 1), http.StatusUnauthorized},
	} {
		if status, body := r.exchange(c.assertionType, c.svid); status != c.status {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	var decision map[string]any
	for _, line := range r.LogLines("m2m.decisions") {
		decision = line
	}
	if text, _ := json.Marshal(decision); strings.Contains(string(text), "eyJ") {
		t.Errorf("the decision log shows a token: %s", text)
	}
}
