package caddymodule_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// atDoor asks for a book with a token.
func (w *issuerWorld) atDoor(raw string) tokenAnswer {
	w.t.Helper()
	return w.get(w.url+"/books/1", "Authorization", "Bearer "+raw)
}

// revokedAtDoor fails the test unless the door refuses the token because it is revoked.
func (w *issuerWorld) revokedAtDoor(raw string) {
	w.t.Helper()
	a := w.atDoor(raw)
	if a.status != http.StatusUnauthorized || a.Error != "invalid_token" || !strings.Contains(a.body, `"reason":"revoked"`) {
		w.t.Errorf("the door answers %s", a)
	}
	if challenge := a.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) {
		w.t.Errorf("the challenge is %s", challenge)
	}
}

func (w *issuerWorld) revoke(client, raw string) {
	w.t.Helper()
	a := w.about("revoke", client, raw)
	if a.status != http.StatusOK || a.body != "" || a.header.Get("Cache-Control") != "no-store" {
		w.t.Fatalf("revoking: %s %v", a, a.header)
	}
}

// otherNode is the revocations as another node has them, on the same storage.
func (w *issuerWorld) otherNode() *revocation.Store {
	w.t.Helper()
	folders, err := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "usage"))
	if keys, _ := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "keys")); len(keys) == 1 {
		folders = keys
	}
	if err != nil || len(folders) != 1 {
		w.t.Fatalf("the issuer's folder is not one of %q: %v", folders, err)
	}
	issuer := filepath.Base(filepath.Dir(folders[0]))
	return revocation.NewStore(&certmagic.FileStorage{Path: w.Storage}, "m2m/"+issuer+"/revocations")
}

// TestRevokedIsRefusedAtOnce: also a token that the door has just verified and remembers, and after a
// reload and a restart.
func TestRevokedIsRefusedAtOnce(t *testing.T) {
	w := startIntrospection(t)
	raw, other := w.token("careful"), w.token("careful")
	if a := w.atDoor(raw); a.status != 200 {
		t.Fatalf("before: %s", a)
	}
	w.revoke("careful", raw)
	w.revokedAtDoor(raw)
	w.revoke("careful", raw) // once more is the same
	if a := w.atDoor(other); a.status != 200 {
		t.Errorf("another token of the client: %s", a)
	}
	if err := w.Load(w.caddyfile() + "# reloaded\n"); err != nil {
		t.Fatal(err)
	}
	w.revokedAtDoor(raw)
	if err := w.Restart(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	w.revokedAtDoor(raw)
	if a := w.atDoor(other); a.status != 200 {
		t.Errorf("another token after a restart: %s", a)
	}
	if n := w.metricOf("caddy_m2m_revocations", w.url); n != "1" {
		t.Errorf("the metrics count %q in force", n)
	}
}

func TestRevocationReachesOtherNodes(t *testing.T) {
	w := startIntrospection(t)
	node := w.otherNode()
	raw := w.token("careful")
	claims := w.verified(raw)
	w.revoke("careful", raw)
	if err := node.Reload(); err != nil {
		t.Fatal(err)
	}
	if revoked, err := node.Revoked(t.Context(), claims["jti"].(string), "careful", time.Now()); !revoked || err != nil {
		t.Errorf("the other node knows of it: %t, %v", revoked, err)
	}
	second, third := w.token("careful"), w.token("demo")
	id := w.verified(second)["jti"].(string)
	if err := node.Revoke(t.Context(), revocation.OfToken(id, time.Now().Add(time.Minute)), revocation.OfClient("demo", time.Now())); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{second, third} {
		servertest.Eventually(t, "the door refuses what the other node has revoked", func() bool { return w.atDoor(token).status == 401 })
		w.revokedAtDoor(token)
	}
	servertest.Eventually(t, "the client gets tokens that are taken", func() bool { return w.atDoor(w.token("demo")).status == 200 })
}

func TestRevocationOfWhatIsNotOnesOwn(t *testing.T) {
	w := startIntrospection(t)
	raw := w.token("careful")
	short := w.token("hasty")
	for _, client := range []string{"demo", "api"} { // to see a token is not to end it
		refusedToken(t, w.about("revoke", client, raw), http.StatusBadRequest, "invalid_grant")
	}
	if a := w.atDoor(raw); a.status != 200 {
		t.Errorf("another client has revoked it: %s", a)
	}
	for name, text := range map[string]string{"garbage": "garbage", "three parts": "e30.e30.e30", "a changed one": raw[:len(raw)-4] + "AAAA"} {
		if a := w.about("revoke", "careful", text); a.status != 200 || a.body != "" {
			t.Errorf("%s: %s", name, a)
		}
	}
	time.Sleep(1100 * time.Millisecond)
	w.revoke("hasty", short) // over, but a door with a leeway may take it still
	w.revokedAtDoor(short)
	for result, want := range map[string]string{"ignored": "3", "revoked": "1", "invalid_grant": "2"} {
		if got := w.metric("revocations_total", `result="`+result+`"`); got != want {
			t.Errorf("%s counts %s, want %s", result, got, want)
		}
	}
}

func TestRevocationWithoutStorage(t *testing.T) {
	w := startIntrospection(t)
	raw := w.token("careful")
	w.FailStorage("Store")
	a := w.about("revoke", "careful", raw)
	refusedToken(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	if a := w.about("revoke", "careful", "garbage"); a.status != 200 {
		t.Errorf("garbage: %s", a)
	}
	w.FailStorage("")
	w.revoke("careful", raw)
	w.revokedAtDoor(raw)
}

// TestConfigIsRefusedWithoutRevocations: a server that does not know what is revoked does not start.
func TestConfigIsRefusedWithoutRevocations(t *testing.T) {
	w := startIntrospection(t)
	raw := w.token("careful")
	w.revoke("careful", raw)
	names, err := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "revocations", "*.json"))
	if err != nil || len(names) != 1 {
		t.Fatalf("objects %q, %v", names, err)
	}
	w.FailLoad(filepath.Base(names[0]))
	if err := w.Load(w.caddyfile() + "# reloaded\n"); err == nil || !strings.Contains(err.Error(), "revocations") {
		t.Errorf("reloaded with %v", err)
	}
	w.revokedAtDoor(raw) // by the former config
}

// TestBrokenRevocations: a broken object is reported, and no other is lost.
func TestBrokenRevocations(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startIntrospection(t)
	raw, lost := w.token("careful"), w.token("careful")
	node := w.otherNode()
	if err := node.Revoke(t.Context(), revocation.OfToken(w.verified(lost)["jti"].(string), time.Now().Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "revocations", "*.json"))
	if err := os.Truncate(names[0], 40); err != nil {
		t.Fatal(err)
	}
	w.revoke("careful", raw)
	if err := w.Restart(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	w.revokedAtDoor(raw)
	w.awaitHealth("revocations", "0")
	if !strings.Contains(w.Log(), filepath.Base(names[0])) {
		t.Error("the log does not name the broken object")
	}
	refusedToken(t, w.about("introspect", "careful", lost), http.StatusServiceUnavailable, "temporarily_unavailable") // it may be revoked
	if a := w.about("introspect", "careful", raw); a.body != inactive {
		t.Errorf("introspecting what is known to be revoked: %s", a)
	}
	if a := w.atDoor(lost); a.status != 200 {
		t.Errorf("the door goes on with what it knows, and: %s", a)
	}
	if reachable := w.metricOf("caddy_m2m_storage_reachable", w.url); reachable != "1" {
		t.Errorf("the storage is reachable, and the metrics say %q", reachable)
	}
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	w.awaitHealth("revocations", "1")
	if a := w.about("introspect", "careful", lost); !strings.Contains(a.body, `"active":true`) {
		t.Errorf("without the broken object: %s", a)
	}
}

// TestTokenOfADamagedKey: the answer says nothing about a token whose key cannot be read, above all not that it is revoked.
func TestTokenOfADamagedKey(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startIntrospection(t)
	raw := w.token("careful")
	w.options += "\nsigning_alg EdDSA"
	w.Change = servertest.QuickKeys(0)
	former := w.storedKeys()[0]
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	kid := w.signer()
	servertest.Eventually(t, "the new key signs", func() bool { return w.signer() != kid })
	if err := os.Truncate(former, 40); err != nil {
		t.Fatal(err)
	}
	if err := w.Restart(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	if a := w.atDoor(raw); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"reason":"no_keys"`) {
		t.Errorf("the door answers %s", a)
	}
	for _, endpoint := range []string{"revoke", "introspect"} {
		refusedToken(t, w.about(endpoint, "careful", raw), http.StatusServiceUnavailable, "temporarily_unavailable")
	}
}

// TestRevocationsOutliveTheirObjectInAReload: the next config keeps the revocations of the former one, even if the storage
// no longer has them.
func TestRevocationsOutliveTheirObjectInAReload(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startIntrospection(t)
	raw := w.token("careful")
	w.revoke("careful", raw)
	names, _ := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "revocations", "*.json"))
	if err := os.Truncate(names[0], 40); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Load(w.caddyfile() + "# reloaded\n"); err != nil {
			t.Fatal(err)
		}
		if err := w.Load(w.caddyfile()); err != nil {
			t.Fatal(err)
		}
		w.revokedAtDoor(raw)
	}
	w.awaitHealth("revocations", "0")
	if err := w.Restart(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	w.revokedAtDoor(raw) // for it was stored again
	if !strings.Contains(w.Log(), "stored revocations again that the storage had lost") {
		t.Error("the log does not say that they were stored again")
	}
}

// TestRevocationsAgeIsShown: it grows while the storage is unreachable.
func TestRevocationsAgeIsShown(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startIntrospection(t)
	age := func() string {
		for line := range strings.Lines(w.get(w.url + "/metrics").body) {
			if value, ok := strings.CutPrefix(line, `caddy_m2m_revocations_age_seconds{issuer="`+w.url+`"} `); ok {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	if now := age(); now == "" || len(now) > 20 {
		t.Fatalf("the age is %q", now)
	}
	w.FailStorage("List")
	servertest.Eventually(t, "the age is more than 5 seconds", func() bool { return age() >= "5" && age() < "6" })
}

// TestRevocationsInAFlood: many clients revoke at once while the door is in use, and every token is refused.
func TestRevocationsInAFlood(t *testing.T) {
	w := startIntrospection(t)
	tokens := make([]string, 60)
	for n := range tokens {
		tokens[n] = w.token("careful")
	}
	var clients sync.WaitGroup
	for _, token := range tokens {
		clients.Go(func() {
			if a := w.about("revoke", "careful", token); a.status != 200 {
				t.Errorf("revoking: %s", a)
			}
			if a := w.atDoor(token); a.status != 401 {
				t.Errorf("after revoking the door answers %s", a)
			}
		})
	}
	clients.Wait()
	if err := w.Restart(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		w.revokedAtDoor(token)
	}
}

// TestNoTokenOfAReferenceIsLogged: neither tokens nor secrets that are sent to the endpoints.
func TestNoTokenOfAReferenceIsLogged(t *testing.T) {
	w := startIssuer(t, issuerSettings{
		registry: withAPIs, options: "audience https://api.example.com", global: "debug",
		site: "log\nm2m_auth /books/* {\nrequire GET /books/{id} book:{id}:read\n}\nrespond /books/* ok",
	})
	raw, other := w.token("careful"), w.token("demo")
	for _, endpoint := range []string{"introspect", "revoke"} {
		for _, token := range []string{raw, other, raw + "x", w.secret} {
			w.about(endpoint, "careful", token)
			w.about(endpoint, token, token)
			w.about(endpoint, "careful", token, "Authorization", "Bearer "+token)
			w.get(w.url + "/oauth2/" + endpoint + "?token=" + token)
		}
		w.FailStorage("Store")
		w.about(endpoint, "demo", other)
		w.FailStorage("")
	}
	w.atDoor(raw)
	for _, secret := range []string{raw, raw[strings.LastIndex(raw, "."):], other, w.secret} {
		for line := range strings.Lines(w.Log()) {
			if strings.Contains(line, secret) {
				t.Errorf("logged: %s", line)
			}
		}
	}
	lines := w.LogLines("m2m.audit")
	if len(lines) != 1 || lines[0]["id"] != w.verified(raw)["jti"] || lines[0]["operation"] != "token.revoke" || lines[0]["issuer"] != w.url {
		t.Errorf("the audit log has %v", lines)
	}
}
