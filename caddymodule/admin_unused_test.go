package caddymodule_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestASecretIsNotTakenForUnused: while the record of uses cannot be read, a secret is deleted only with force.
func TestASecretIsNotTakenForUnused(t *testing.T) {
	w := startAdmin(t)
	w.works(w.book())
	if err := w.Restart(w.config()); err != nil { // now only the storage has the use
		t.Fatal(err)
	}
	records, err := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "usage", "ci-bot.json"))
	if err != nil || len(records) != 1 {
		t.Fatalf("records of uses are %v, %v", records, err)
	}
	if err := os.Remove(records[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(records[0], 0o700); err != nil {
		t.Fatal(err)
	}
	w.want(503, "DELETE", ciBotSecrets+"/s1", "")
	w.want(503, "POST", ciBotSecrets+"/rotate", "")
	w.want(204, "DELETE", ciBotSecrets+"/s1?force=true", "")
}

// TestUsesAreNotNotedElsewhere: nothing is written to the path of a storage that is gone.
func TestUsesAreNotNotedElsewhere(t *testing.T) {
	w := startAdmin(t)
	secret := w.book()
	if err := w.Restart(w.config()); err != nil {
		t.Fatal(err)
	}
	w.works(secret)
	if err := os.Rename(w.Storage, w.Storage+".away"); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Stop(); err != nil { // which stores uses that are not stored yet
		t.Fatal(err)
	}
	if found, err := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "*")); err != nil || len(found) > 0 {
		t.Errorf("there are %v, %v", found, err)
	}
}

func TestIDsOfExpiredSecretsAreNotGivenAgain(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startAdmin(t)
	w.book()
	expires := time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano)
	w.want(201, "POST", ciBotSecrets, `{"expires": "`+expires+`"}`)
	servertest.Eventually(t, "the secret expires", func() bool {
		return w.want(http.StatusOK, "GET", ciBotSecrets, "").field("secrets", 1, "live") == "false"
	})
	if id := w.want(201, "POST", ciBotSecrets, "").field("secret_id"); id != "s3" {
		t.Errorf("after s1 and s2, which has expired, comes %s", id)
	}
	w.want(204, "DELETE", ciBotSecrets+"/s1", "")
	if list := w.want(200, "GET", ciBotSecrets, ""); list.field("secrets", 1) != "<nil>" {
		t.Errorf("left are %s", list.body)
	}
}

// TestExcludedCredentialsAreShown: a client whose only credentials auth_methods excludes says so.
func TestExcludedCredentialsAreShown(t *testing.T) {
	w := startAdmin(t, "auth_methods private_key_jwt")
	w.book()
	if got := w.want(http.StatusOK, "GET", strings.TrimSuffix(ciBotSecrets, "/secrets"), "").field("excluded", 0); got != "client_secret" {
		t.Errorf("excluded is %s", got)
	}
}
