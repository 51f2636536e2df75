package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// load makes a request over and over from several goroutines, until the returned function is called.
func load(request func() (*http.Response, error)) (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if response, err := request(); err == nil {
					response.Body.Close()
				}
			}
		})
	}
	return func() {
		close(done)
		all.Wait()
	}
}

// TestEditsInStorageUnderLoad: while a decision is in the cache, a change of the client, its grants or a resource in storage
// takes effect on the next request.
func TestEditsInStorageUnderLoad(t *testing.T) {
	w := startAdmin(t, "registry storage", "client_limits off")
	secret := registry.NewSecret()
	apply := func(actions, granted, team string) {
		w.want(200, "POST", "/m2m/apply", fmt.Sprintf(`resources:
  book: {actions: %s}
clients:
  demo: {attributes: {team: %q}, secrets: [{id: s1, sha256: %q}], grants: [{resource: book, identifiers: ["*"], actions: %s}]}
`, actions, team, registry.HashSecret(secret), granted), "Content-Type", "application/yaml")
	}
	both := `{read: "", edit: ""}`
	apply(both, "[read]", "a")
	defer load(func() (*http.Response, error) {
		return http.PostForm(w.issuer+"/oauth2/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"demo"}, "client_secret": {secret}, "scope": {"book:1:read book:1:edit"},
		})
	})()
	for n := range 3 {
		for _, edit := range []struct{ actions, granted, team, want string }{
			{both, "[read, edit]", "a", "book:1:read book:1:edit"},
			{both, "[edit]", "a", "book:1:edit"},
			{`{read: ""}`, `["*"]`, "a", "book:1:read"},
			{both, "[read]", fmt.Sprint(n), "book:1:read"},
		} {
			apply(edit.actions, edit.granted, edit.team)
			for range 3 {
				if granted, _, failure := w.token("demo", secret, "book:1:read book:1:edit"); granted != edit.want {
					t.Fatalf("after %+v it gets %q %s", edit, granted, failure)
				}
			}
		}
	}
	uses := w.want(200, "GET", "/m2m/status", "")
	if kind, hits := uses.field("issuers", 0, "policy", "decision_cache", "decisions", 0, "kind"), uses.field("issuers", 0, "policy", "decision_cache", "decisions", 0, "hits"); kind != "token" || hits == "0" || hits == "<nil>" {
		t.Errorf("of %s decisions %s came from the cache", kind, hits)
	}
}

// TestEditsOfFilesUnderLoad: the same of a registry file, a policy, its data, and a door that decides by it. The server looks at
// files from time to time, so a change takes effect a little later, and then for good.
func TestEditsOfFilesUnderLoad(t *testing.T) {
	door := func(reason string) string {
		return "package m2m.request\n\ndenied contains {\"reason\": \"x\"} if input.request.headers[\"x-tenant\"] == [\"" + reason + "\"]\n"
	}
	w := newIssuerWorld(t, issuerSettings{
		options: "client_limits off",
		policy: map[string]string{
			"a.rego": "package m2m.token\n\nttl contains data.seconds\n", "data.json": `{"seconds": 60}`, "door.rego": door("b"),
		},
		site: "m2m_auth /books/* {\npolicy {\ninput_header X-Tenant\n}\n}\nrespond /books/* ok",
	})
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	form := w.form("demo", "book:1:read book:1:edit")
	token := *w.ask("demo", "book:1:read").AccessToken
	defer load(func() (*http.Response, error) {
		return http.Post(w.tokenURL(), "application/x-www-form-urlencoded", strings.NewReader(form))
	})()
	atDoor := func() (*http.Response, error) {
		request, err := http.NewRequest(http.MethodGet, w.url+"/books/1", nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("X-Tenant", "a")
		return http.DefaultClient.Do(request)
	}
	defer load(atDoor)()
	await := func(what string, is func() bool) {
		t.Helper()
		servertest.Eventually(t, what, is)
		for range 20 {
			if !is() {
				t.Fatalf("%s, and then no more", what)
			}
		}
	}
	ttl := func(seconds int) func() bool {
		return func() bool { return w.post(form).ExpiresIn == seconds }
	}
	passes := func(status int) func() bool {
		return func() bool {
			response, err := atDoor()
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == status
		}
	}
	await("the data", ttl(60))
	await("the door", passes(http.StatusOK))
	w.writePolicy("data.json", `{"seconds": 90}`)
	await("other data", ttl(90))
	w.writePolicy("a.rego", "package m2m.token\n\nttl contains data.seconds - 1\n")
	await("another rule", ttl(89))
	w.writeRegistry(strings.Replace(w.registry, "demo:", "demo:\n    token_ttl: 45s", 1))
	await("another client", ttl(45))
	w.writePolicy("door.rego", door("a"))
	await("another rule of the door", passes(http.StatusForbidden))
	await("no grant", func() bool {
		w.writeRegistry("resources: {}\nclients:\n  demo: {secrets: [{id: s1, sha256: HASH}]}\n")
		return w.post(form).Error == "invalid_scope"
	})
	for _, kind := range []string{"token", "request"} {
		if hits := w.metric("decision_cache_lookups_total", fmt.Sprintf("kind=%q,result=%q", kind, "hit")); hits == "" || hits == "0" {
			t.Errorf("of %s decisions %q came from the cache", kind, hits)
		}
		if status := w.get(w.url + "/metrics").body; !strings.Contains(status, fmt.Sprintf(`caddy_m2m_decisions_cached{impure="",issuer=%q,kind=%q} 1`, w.url, kind)) {
			t.Errorf("the metrics do not say that %s decisions are cached", kind)
		}
	}
	w.writePolicy("clock.rego", "package m2m.token\n\nclaims.now := time.now_ns()\n")
	servertest.Eventually(t, "impure", func() bool {
		return strings.Contains(w.get(w.url+"/metrics").body, fmt.Sprintf(`caddy_m2m_decisions_cached{impure="%s:3: rule m2m.token.claims calls time.now_ns",issuer=%q,kind="token"} 0`,
			filepath.Join(w.dir, "policy", "clock.rego"), w.url))
	})
}
