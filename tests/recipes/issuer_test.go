package recipes_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const recipeRegistry = `resources:
  book:
    actions: {read: Read a book}
clients:
  ci-bot:
    secrets:
      - {id: s1, sha256: "<the hash>"}
    grants:
      - {resource: book, identifiers: ["*"], actions: [read]}
  web:
    secrets:
      - {id: s1, sha256: "<the hash>"}
    grants:
      - {resource: book, identifiers: ["*"], actions: [read]}
`

// runIssuer runs a Caddyfile whose issuer is of this program, with the registry of the page, or another one if that is "".
func (r *recipe) runIssuer(caddyfile, registryFile string) {
	r.t.Helper()
	r.sites["auth.example.com"] = servertest.FreeURL(r.t)
	r.secret = registry.NewSecret()
	if registryFile == "" {
		registryFile = recipeRegistry
	}
	servertest.WriteFile(r.t, r.dir, "registry.yaml", strings.ReplaceAll(r.local(registryFile), "<the hash>", registry.HashSecret(r.secret)))
	r.run(caddyfile)
}

// grant is the answer of the token endpoint.
type grant struct {
	Token    string `json:"access_token"`
	Scope    string `json:"scope"`
	Rejected string `json:"rejected_scope"`
	status   int
}

// ask asks the issuer for a token for one resource, or for all if that is "".
func (r *recipe) ask(client, resource string) grant {
	r.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {r.secret}, "scope": {"book:*:read"}}
	if strings.Contains(r.sites["ledger.example.com"], ":") {
		form.Set("scope", "book:*:read entry:*:read")
	}
	if resource != "" {
		form.Set("resource", resource)
	}
	response, err := http.PostForm(r.sites["auth.example.com"]+"/oauth2/token", form)
	if err != nil {
		r.t.Fatal(err)
	}
	got := grant{status: response.StatusCode}
	if body := servertest.Body(r.t, response); response.StatusCode == http.StatusOK {
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			r.t.Fatalf("%v: %s", err, body)
		}
	} else if response.StatusCode != http.StatusTooManyRequests {
		r.t.Fatalf("asking for a token: %d %s", response.StatusCode, body)
	}
	return got
}

// TestSeveralAudiences checks that each API takes the tokens for it, and no others.
func TestSeveralAudiences(t *testing.T) {
	r := newRecipe(t)
	ledger, accounts := r.site("ledger.example.com"), r.site("accounts.example.com")
	r.runIssuer(block(t, "recipes.md", "## Several audiences", "caddyfile", 1), block(t, "recipes.md", "## Several audiences", "yaml", 1))
	for name, c := range map[string]struct {
		resource       string
		books, entries int
		rejected       string
	}{
		"both":   {"", http.StatusOK, http.StatusOK, ""},
		"books":  {r.api, http.StatusOK, http.StatusUnauthorized, "entry:*:read"},
		"ledger": {ledger, http.StatusUnauthorized, http.StatusOK, "book:*:read"},
	} {
		got := r.ask("ci-bot", c.resource)
		if got.Rejected != c.rejected {
			t.Errorf("%s: rejected %q", name, got.Rejected)
		}
		ask(t, "GET", r.api+"/books/1", "Authorization", bearer(got.Token)).expect(t, name, c.books)
		ask(t, "GET", ledger+"/entries/1", "Authorization", bearer(got.Token)).expect(t, name, c.entries)
	}
	_ = accounts
}
