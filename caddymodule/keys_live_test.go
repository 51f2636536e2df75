package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// metricOf is the value of one of the issuer's time series.
func (w *issuerWorld) metricOf(name, label string) string {
	for line := range strings.Lines(w.get(w.url + "/metrics").body) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, label) {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
		}
	}
	return ""
}

// TestStorageAwayWhileKeysAreDue: the issuer goes on signing, reports the fault, and rotates when storage works again.
func TestStorageAwayWhileKeysAreDue(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := newIssuerWorld(t, issuerSettings{options: "token_ttl 5s"})
	w.Change = servertest.QuickKeys(9 * time.Second)
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
		t.Errorf("the log says %d times that storage fails", n)
	}
}

// TestKeyEncryptionOfAServer: the config makes stored keys encrypted, and a start with another key, or with a key that
// others can read, fails.
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
	_, content, _ := bytes.Cut(object, []byte("\n"))
	var stored map[string]json.RawMessage
	if err := json.Unmarshal(content, &stored); err != nil || stored["key"] != nil || stored["sealed"] == nil {
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
