package caddymodule_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// startStranger starts a world with a registry in storage that has a few clients. It returns the secret that all of them
// have.
func startStranger(t *testing.T) (w *adminWorld, secret string) {
	t.Helper()
	w = startAdmin(t, "registry storage")
	secret = registry.NewSecret()
	hash := registry.HashSecret(secret)
	w.want(200, "POST", "/m2m/apply", strings.ReplaceAll(`resources:
  book: {actions: {read: ""}}
clients:
  demo: {secrets: [{id: s1, sha256: HASH}], grants: [{resource: book, identifiers: ["*"], actions: [read]}]}
  Demo-2: {secrets: [{id: s1, sha256: HASH}]}
  torn: {secrets: [{id: s1, sha256: HASH}]}
  hurt: {secrets: [{id: s1, sha256: HASH}]}
  bare: {}
  off: {disabled: true, secrets: [{id: s1, sha256: HASH}]}
  over: {expires: 2020-01-01T00:00:00Z, secrets: [{id: s1, sha256: HASH}]}
  lapsed: {secrets: [{id: s1, sha256: HASH, expires: 2020-01-01T00:00:00Z}]}
`, "HASH", `"`+hash+`"`), "Content-Type", "application/yaml")
	w.spoil("hurt.json")
	w.damage("clients/torn")
	if err := w.Restart(w.config("registry storage")); err != nil { // so that no client is in memory
		t.Fatal(err)
	}
	return w, secret
}

// clientFile is the path of a client's object.
func (w *adminWorld) clientFile(name string) string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "registry", "clients"))
	if err != nil || len(found) != 1 {
		w.t.Fatalf("the folder of clients is not one of %q: %v", found, err)
	}
	return filepath.Join(found[0], name)
}

// spoil changes a client's object, and leaves its secrets as they are.
func (w *adminWorld) spoil(name string) {
	w.t.Helper()
	object, err := os.ReadFile(w.clientFile(name))
	if err == nil {
		err = os.WriteFile(w.clientFile(name), []byte(strings.Replace(string(object), `{"id":"`, `{"id":"x`, 1)), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// authenticate sends a request to one of the endpoints at which clients authenticate.
func (w *adminWorld) authenticate(endpoint, id, secret string) tokenAnswer {
	form := url.Values{"client_id": {id}, "client_secret": {secret}}
	if endpoint == "token" {
		form.Set("grant_type", "client_credentials")
		form.Set("scope", "book:1:read")
	} else {
		form.Set("token", "garbage")
	}
	response, err := http.PostForm(w.issuer+"/oauth2/"+endpoint, form)
	if err != nil {
		w.t.Error(err)
		return tokenAnswer{}
	}
	return tokenAnswer{status: response.StatusCode, header: response.Header, body: servertest.Body(w.t, response)}
}

// storageCalls records the kinds of the storage calls that concern clients, and whether the registry is there.
type storageCalls struct {
	mu    sync.Mutex
	kinds []string
}

func (c *storageCalls) watch(operation, key string) {
	if !strings.Contains(key, "/registry/clients/") && (operation == "Load" || !strings.Contains(key, "/registry/")) {
		return // the node's own looks load the journal, and look for keys
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds = append(c.kinds, operation)
}

func (c *storageCalls) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	kinds := c.kinds
	c.kinds = nil
	return kinds
}

// TestFailedAuthenticationCostsAlike counts the storage calls of each way to fail: as many as for an id that no client
// has, the first time and when it is repeated. So the time does not tell which clients exist.
func TestFailedAuthenticationCostsAlike(t *testing.T) {
	w, secret := startStranger(t)
	var calls storageCalls
	w.WatchStorage(calls.watch)
	fails := func(endpoint, id, secret string) (first, again []string, answer string) {
		calls.take()
		a := w.authenticate(endpoint, id, secret)
		first = calls.take()
		w.authenticate(endpoint, id, secret)
		return first, calls.take(), a.whole()
	}
	wrong := registry.NewSecret()
	wantFirst, wantAgain, want := fails("token", "nobody", wrong)
	if len(wantFirst) == 0 || len(wantAgain) > 0 || !strings.HasPrefix(want, "401\n") {
		t.Fatalf("an unknown id costs %q, then %q, and is answered %s", wantFirst, wantAgain, want)
	}
	if a := w.authenticate("token", "demo", secret); a.status != 200 { // is in memory then
		t.Fatalf("the right secret: %s", a)
	}
	for _, c := range []struct{ name, endpoint, id, secret string }{
		{"unknown, another", "token", "nobody-2", wrong},
		{"unknown, in capitals", "token", "NOBODY-3", wrong},
		{"unknown, to introspect", "introspect", "nobody-4", wrong},
		{"unknown, to revoke", "revoke", "nobody-5", wrong},
		{"in memory", "token", "demo", wrong},
		{"not in memory", "token", "Demo-2", wrong},
		{"without secrets", "introspect", "bare", wrong},
		{"disabled", "revoke", "off", secret},
		{"expired", "token", "over", secret},
		{"with an expired secret", "introspect", "lapsed", secret},
		{"damaged", "token", "hurt", wrong},
		{"cut off", "revoke", "torn", wrong},
	} {
		first, again, answer := fails(c.endpoint, c.id, c.secret)
		if !slices.Equal(first, wantFirst) || !slices.Equal(again, wantAgain) {
			t.Errorf("%s: costs %q, then %q; an unknown id costs %q, then %q", c.name, first, again, wantFirst, wantAgain)
		}
		if answer != want {
			t.Errorf("%s: the answer differs:\n%s\nfrom\n%s", c.name, answer, want)
		}
	}
	for _, c := range []struct{ name, id, secret string }{ // of no client, whichever there are
		{"a secret of another kind", "demo", "hunter2"},
		{"a misspelt secret", "demo", secret[:len(secret)-1]},
		{"such a secret of an unknown id", "nobody-6", "hunter2"},
		{"dots", "..", wrong},
		{"a percent sign", "de%mo", wrong},
		{"a long id", strings.Repeat("d", 129), wrong},
		{"an id too long for the storage", strings.Repeat("D", 128), wrong},
	} {
		if first, again, answer := fails("token", c.id, c.secret); len(first)+len(again) > 0 || answer != want {
			t.Errorf("%s: costs %q, then %q, and is answered %s", c.name, first, again, answer)
		}
	}
	for _, want := range []string{ // operators learn the reason
		`"client_id":"demo","reason":"wrong_secret"`, `"client_id":"demo","reason":"malformed_secret"`, `"client_id":"Demo-2","reason":"wrong_secret"`,
		`"client_id":"bare","reason":"wrong_secret"`, `"client_id":"off","reason":"client_disabled"`, `"client_id":"over","reason":"client_expired"`,
		`"client_id":"lapsed","reason":"secret_expired"`, `"client_id":"hurt","reason":"wrong_secret"`,
	} {
		servertest.Eventually(t, "the log has "+want, func() bool { return strings.Contains(w.Log(), want) })
	}
	if a := w.authenticate("token", "demo", secret); a.status != 200 {
		t.Errorf("the right secret after wrong ones: %s", a)
	}
	if a := w.authenticate("token", "hurt", secret); a.status != 503 {
		t.Errorf("the right secret of a damaged client: %s", a)
	}
}

// TestFloodOfMadeUpIDs: while the storage answers no request for them, other work goes on. Revocations of another node
// arrive, and a client that is in memory gets its tokens.
func TestFloodOfMadeUpIDs(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w, secret := startStranger(t)
	if a := w.authenticate("token", "demo", secret); a.status != 200 {
		t.Fatal(a)
	}
	let := make(chan struct{})
	w.WatchStorage(func(operation, key string) {
		if strings.Contains(key, "/registry/clients/made-up-") {
			<-let
		}
	})
	var flood sync.WaitGroup
	release := sync.OnceFunc(func() { close(let); flood.Wait() })
	defer release()
	var mu sync.Mutex
	answers := make(map[int]int)
	for n := range 500 {
		flood.Go(func() {
			a := w.authenticate("token", "made-up-"+string(rune('a'+n%26))+strings.Repeat("x", n/26), registry.NewSecret())
			if a.status == 503 && a.header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
			mu.Lock()
			defer mu.Unlock()
			answers[a.status]++
		})
	}
	answered := func(status int) int {
		mu.Lock()
		defer mu.Unlock()
		return answers[status]
	}
	time.Sleep(500 * time.Millisecond) // most have arrived
	folder := strings.TrimPrefix(filepath.Dir(filepath.Dir(filepath.Dir(w.clientFile("x")))), w.Storage+string(filepath.Separator))
	node := revocation.NewStore(&certmagic.FileStorage{Path: w.Storage}, filepath.ToSlash(folder)+"/revocations")
	if err := node.Revoke(t.Context(), revocation.OfClient("demo", time.Now())); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "the revocation is known while the flood waits", func() bool {
		return w.call("GET", "/m2m/status", "").field("issuers", 0, "revocations", "count") == "1"
	})
	if a := w.authenticate("token", "demo", secret); a.status != 200 {
		t.Errorf("a client that is in memory: %s", a)
	}
	servertest.Eventually(t, "most have waited for long enough", func() bool { return answered(503) >= 450 })
	release()
	if answered(401)+answered(503) != 500 {
		t.Errorf("the answers are %v", answers)
	}
	if a := w.authenticate("token", "made-up-again", registry.NewSecret()); a.status != 401 {
		t.Errorf("once the flood is over: %s", a)
	}
	told := 0
	for line := range strings.Lines(w.Log()) {
		if strings.Contains(line, `"level":"error"`) {
			t.Errorf("the flood has written %s", line)
		}
		if strings.Contains(line, "too many requests with unknown ids") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("it was told %d times that many ask", told)
	}
}
