package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// kids are the IDs of the keys that the issuer publishes, sorted.
func (w *issuerWorld) kids() []string {
	w.t.Helper()
	var jwks struct {
		Keys []map[string]string `json:"keys"`
	}
	a := w.get(w.url + "/oauth2/jwks")
	if err := json.Unmarshal([]byte(a.body), &jwks); err != nil {
		w.t.Fatalf("reading the keys %s: %v", a, err)
	}
	var kids []string
	for _, key := range jwks.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if key[private] != "" {
				w.t.Errorf("a published key has %q", private)
			}
		}
		if key["use"] != "sig" || key["alg"] == "" || key["kid"] == "" {
			w.t.Errorf("a published key lacks use, alg or kid: %v", key)
		}
		kids = append(kids, key["kid"])
	}
	slices.Sort(kids)
	return kids
}

// signer is the ID of the key that signs now.
func (w *issuerWorld) signer() string {
	w.t.Helper()
	a := w.ask("demo", "book:read")
	w.granted(a)
	return w.parsed(*a.AccessToken).Header["kid"].(string)
}

// storedKeys are the files of the keys in storage.
func (w *issuerWorld) storedKeys() []string {
	keys, err := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "keys", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

func TestSigningKeyIsMadeOnceAndFoundAgain(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	kid := w.signer()
	for name, again := range map[string]func(string) error{"reload": w.Load, "restart": w.Restart} {
		if err := again(w.caddyfile()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := w.signer(); got != kid {
			t.Errorf("after a %s the key is %s, was %s", name, got, kid)
		}
	}
	if keys := w.storedKeys(); len(keys) != 1 {
		t.Errorf("in storage are %v", keys)
	}
	info, err := os.Stat(w.storedKeys()[0])
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the key: %v, %v", info.Mode(), err)
	}
}

func TestTokenOfFormerAlgorithmStaysValid(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startIssuer(t, issuerSettings{})
	former := w.ask("demo", "book:read")
	w.granted(former)
	kid := w.signer()
	w.options = "signing_alg EdDSA"
	w.Change = servertest.QuickKeys(0) // else it takes ten minutes
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	if w.signer() != kid || len(w.kids()) != 2 {
		t.Errorf("before the new key is known: signer %s, keys %v", w.signer(), w.kids())
	}
	servertest.Eventually(t, "the new key signs", func() bool { return w.signer() != kid })
	w.verified(*former.AccessToken)
	w.options = ""
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	if w.signer() != kid || len(w.kids()) != 2 {
		t.Errorf("back again: signer %s, keys %v", w.signer(), w.kids())
	}
}

func TestFirstStartFailsWithoutStorage(t *testing.T) {
	for _, operation := range []string{"Load", "Store", "List", "Lock"} {
		t.Run(operation, func(t *testing.T) {
			w := newIssuerWorld(t, issuerSettings{})
			w.FailStorage(operation)
			if err := w.Load(w.caddyfile()); err == nil || !strings.Contains(err.Error(), "the storage is unreachable") {
				t.Fatalf("starting with a storage that fails to %s: %v", operation, err)
			}
			w.FailStorage("")
			if err := w.Load(w.caddyfile()); err != nil {
				t.Fatalf("starting when the storage is back: %v", err)
			}
			w.signer()
		})
	}
}

// TestReloadFailsWithoutStorage: the former config stays in force.
func TestReloadFailsWithoutStorage(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	kid := w.signer()
	for _, operation := range []string{"Load", "List"} {
		w.FailStorage(operation)
		if err := w.Load(w.caddyfile()); err == nil {
			t.Errorf("a reload with a storage that fails to %s succeeds", operation)
		}
		if got := w.signer(); got != kid {
			t.Errorf("the key is %s, was %s", got, kid)
		}
	}
	w.FailStorage("")
	if err := w.Load(w.caddyfile()); err != nil || w.signer() != kid {
		t.Errorf("a reload when the storage is back: %v", err)
	}
}

// TestStorageFaultHidesNoKey: if only the readable one of two keys were published, all doors would refuse tokens of the
// other.
func TestStorageFaultHidesNoKey(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	former := filepath.Base(w.storedKeys()[0])
	w.options = "signing_alg EdDSA"
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	w.FailLoad(former)
	if err := w.Load(w.caddyfile()); err == nil {
		t.Error("a reload that lost a key succeeds")
	}
	if len(w.kids()) != 2 {
		t.Errorf("keys %v", w.kids())
	}
}

// TestBrokenKeyIsNotReplaced: a new key would contradict every copy of the old one.
func TestBrokenKeyIsNotReplaced(t *testing.T) {
	servertest.SkipUnlessLong(t)
	resealed := func(change func(string) string) func([]byte) []byte {
		return func(object []byte) []byte {
			header, content, _ := strings.Cut(string(object), "\n")
			label, _, _ := strings.Cut(strings.TrimPrefix(header, "caddy-m2m "), " sha256:")
			return envelope.Seal(label, []byte(change(content)))
		}
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"cut off": func(object []byte) []byte { return object[:len(object)/2] },
		"empty":   func([]byte) []byte { return nil },
		"another": resealed(func(string) string {
			return `{"created":"2026-01-01T00:00:00Z","signs_from":"2026-01-01T00:00:00Z","token_ttl":600,"key":{"kty":"oct","k":"AAAA"}}`
		}),
		"no private":  resealed(func(content string) string { return strings.Replace(content, `"d":`, `"x-d":`, 1) }),
		"flipped":     resealed(func(content string) string { return strings.Replace(content, `"x":"`, `"x":"AAAA`, 1) }),
		"not sealed":  func(object []byte) []byte { return object[bytes.IndexByte(object, '\n')+1:] },
		"not even it": func([]byte) []byte { return []byte("\x00\x00") },
	} {
		t.Run(name, func(t *testing.T) {
			w := startIssuer(t, issuerSettings{})
			kid, file := w.signer(), w.storedKeys()[0]
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, spoil(whole), 0o600); err != nil {
				t.Fatal(err)
			}
			err = w.Load(w.caddyfile())
			if err == nil || !strings.Contains(err.Error(), kid+".json") || strings.Contains(err.Error(), `"d"`) {
				t.Errorf("a reload answers %v, want the name of the broken key", err)
			}
			if w.signer() != kid || len(w.storedKeys()) != 1 {
				t.Errorf("signer %s, was %s; in storage are %v", w.signer(), kid, w.storedKeys())
			}
			if err := w.Restart(w.caddyfile()); err == nil {
				t.Error("a restart succeeds")
			}
			if len(w.storedKeys()) != 1 {
				t.Errorf("in storage are %v", w.storedKeys())
			}
		})
	}
}
