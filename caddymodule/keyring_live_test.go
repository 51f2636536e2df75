package caddymodule_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// quickKeys has keys rotate in seconds: published for 2.2 s before they sign, and for 2 s after.
const quickKeys = "token_ttl 1s"

func quicken(period string) func(map[string]any) {
	return func(config map[string]any) {
		issuer := config["apps"].(map[string]any)["m2m"].(map[string]any)["issuers"].([]any)[0].(map[string]any)
		issuer["key_timing"] = map[string]any{"max_age": "1s", "poll": "200ms", "leeway": "1s"}
		issuer["key_rotation"] = period
	}
}

// cachedJWKS is the strictest of clients: it keeps the published keys for as long as they say, and does not ask for
// them again before, whatever it meets.
type cachedJWKS struct {
	w     *issuerWorld
	mu    sync.Mutex
	keys  jwt.Keyfunc
	until time.Time
}

func (c *cachedJWKS) get() (jwt.Keyfunc, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.until) {
		return c.keys, nil
	}
	response, err := c.w.client.Get(c.w.url + "/oauth2/jwks")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	keys, err := keyfunc.NewJWKSetJSON(body)
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.Atoi(strings.TrimPrefix(response.Header.Get("Cache-Control"), "public, max-age="))
	if err != nil || seconds != 1 {
		c.w.t.Errorf("Cache-Control is %q", response.Header.Get("Cache-Control"))
	}
	c.keys, c.until = keys.Keyfunc, now.Add(time.Duration(seconds)*time.Second)
	return c.keys, nil
}

// TestKeyRotationUnderLoad: over three rotations a token is taken at the door, by a client with the keys in a cache, and
// by go-oidc, when it is new and just before it ends.
func TestKeyRotationUnderLoad(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{options: quickKeys, site: "m2m_auth /books/* {\nrequire GET /books/{id} book:{id}:read\n}\nrespond /books/* ok"})
	w.Change = quicken("4.5s")
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	cache := &cachedJWKS{w: w}
	remote := oidc.NewRemoteKeySet(t.Context(), w.url+"/oauth2/jwks")
	var signers sync.Map
	var count atomic.Int64
	check := func(raw string) {
		parsed, _, err := jwt.NewParser().ParseUnverified(raw, jwt.MapClaims{})
		if err != nil {
			t.Error(err)
			return
		}
		end, _ := parsed.Claims.GetExpirationTime()
		if _, known := signers.LoadOrStore(parsed.Header["kid"], true); !known {
			count.Add(1)
		}
		failed := func(who string, err any) {
			if time.Now().Before(end.Time) {
				t.Errorf("%s refuses a token of key %s: %v", who, parsed.Header["kid"], err)
			}
		}
		if keys, err := cache.get(); err != nil {
			t.Error(err)
		} else if _, err := jwt.Parse(raw, keys); err != nil {
			failed("a client with cached keys", err)
		}
		if _, err := remote.VerifySignature(context.Background(), raw); err != nil {
			failed("go-oidc", err)
		}
		request, _ := http.NewRequest(http.MethodGet, w.url+"/books/1", nil)
		request.Header.Set("Authorization", "Bearer "+raw)
		if response, err := w.client.Do(request); err != nil {
			t.Error(err)
		} else if body := servertest.Body(t, response); response.StatusCode != http.StatusOK {
			failed("the door", body)
		}
	}
	var done atomic.Bool
	var clients sync.WaitGroup
	defer clients.Wait()
	defer done.Store(true)
	for range 3 {
		clients.Go(func() {
			for !done.Load() {
				response, err := w.client.Post(w.tokenURL(), formType, strings.NewReader(w.form("demo", "book:read")))
				if err != nil {
					t.Error(err)
					return
				}
				var answer tokenMembers
				if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.AccessToken == nil {
					t.Errorf("no token: status %d, %v", response.StatusCode, err)
					return
				}
				response.Body.Close()
				check(*answer.AccessToken)
				time.Sleep(600 * time.Millisecond)
				check(*answer.AccessToken)
			}
		})
	}
	for n := range int64(4) {
		servertest.Eventually(t, "the next key signs", func() bool { return count.Load() > n || t.Failed() })
	}
	done.Store(true)
	clients.Wait()
	servertest.Eventually(t, "former keys are dropped", func() bool { return len(w.storedKeys()) <= 3 })
	if w.metricOf("caddy_m2m_keys", `state="active"`) != "1" || w.metricOf("caddy_m2m_reload_healthy", `kind="keys"`) != "1" {
		t.Error("the gauges say something else")
	}
}

// metricOf is the value of one of the issuer's time series.
func (w *issuerWorld) metricOf(name, label string) string {
	for line := range strings.Lines(w.get(w.url + "/metrics").body) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, label) {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
		}
	}
	return ""
}

// TestStorageAwayWhileKeysAreDue: tokens go on, it is told, and the rotation comes when storage does.
func TestStorageAwayWhileKeysAreDue(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{options: "token_ttl 5s"})
	w.Change = quicken("9s")
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	kid := w.signer()
	w.FailStorage("List")
	servertest.Eventually(t, "it is told", func() bool { return w.metricOf("caddy_m2m_reload_healthy", `kind="keys"`) == "0" })
	time.Sleep(8 * time.Second) // until the next one is due
	if got := w.signer(); got != kid {
		t.Errorf("the key is %s, was %s", got, kid)
	}
	w.FailStorage("")
	servertest.Eventually(t, "the next key signs", func() bool { return w.signer() != kid })
	if n := strings.Count(w.Log(), "signing keys could not all be read or rotated"); n != 1 {
		t.Errorf("the log says %d times that storage is away", n)
	}
}

// TestKeyEncryptionOfAServer goes through the config: what is stored is encrypted, and a start with another key, or
// with a key that others may read, fails.
func TestKeyEncryptionOfAServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	write := func(letter string, mode os.FileMode) {
		t.Helper()
		key := strings.Repeat(letter, 43) + "="
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("A", 0o600)
	w := startIssuer(t, issuerSettings{options: "key_encryption {file." + file + "}"})
	kid := w.signer()
	object, err := os.ReadFile(w.storedKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]json.RawMessage
	if err := json.Unmarshal(object, &stored); err != nil || stored["key"] != nil || stored["sealed"] == nil {
		t.Errorf("in storage is %s", object)
	}
	if err := w.Restart(w.caddyfile()); err != nil || w.signer() != kid {
		t.Errorf("starting again: %v", err)
	}
	for want, spoil := range map[string]func(){
		"key_encryption is another key": func() { write("I", 0o600) },
		"others may read":               func() { write("A", 0o644) },
		"no such file":                  func() { _ = os.Remove(file) },
	} {
		spoil()
		if err := w.Load(w.caddyfile()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("a reload answers %v, want %q", err, want)
		}
	}
	if w.signer() != kid || len(w.storedKeys()) != 1 || strings.Contains(w.Log(), strings.Repeat("A", 43)) {
		t.Error("something has changed, or the log has the key")
	}
}
