package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

func TestKeysByTheAPI(t *testing.T) {
	w := startAdmin(t)
	active := w.want(200, "GET", "/m2m/status", "").field("issuers", 0, "keys", "active")
	list := w.want(200, "GET", "/m2m/keys", "")
	if list.field("keys", 0, "kid") != active || list.field("keys", 0, "state") != "active" || list.field("keys", 1) != "<nil>" {
		t.Fatalf("keys are %s, and %s signs", list.body, active)
	}
	next := w.want(201, "POST", "/m2m/keys/rotate", "").field("key", "kid")
	again := w.want(409, "POST", "/m2m/keys/rotate", `{"now": false}`)
	if again.field("error") != "exists" || !strings.Contains(again.field("message"), next) {
		t.Errorf("rotating again: %s", again.body)
	}
	status := w.want(200, "GET", "/m2m/status", "")
	if status.field("issuers", 0, "keys", "active") != active || status.field("issuers", 0, "keys", "next") != next ||
		status.field("issuers", 0, "keys", "count") != "2" || status.field("issuers", 0, "keys", "healthy") != "true" {
		t.Errorf("the status is %s", status.body)
	}
	for body, want := range map[string]string{
		`{"now": true}`:                 "reason is required",
		`{"now": true, "reason": "  "}`: "reason is required",
		`{"reason": "why"}`:             "only with now",
		`{"now": "yes"}`:                "now must be true or false",
		`{"nwo": true}`:                 "unknown field",
		`{"now": true, "reason": "` + strings.Repeat("x", 501) + `"}`: "longer than",
		`{"now": true, "reason": "a", "now": true}`:                   "repeated",
	} {
		if answer := w.want(400, "POST", "/m2m/keys/rotate", body); !strings.Contains(answer.field("message"), want) {
			t.Errorf("%s: %s, want %q", body, answer.body, want)
		}
	}
	replaced := w.want(201, "POST", "/m2m/keys/rotate", `{"now": true, "reason": "leaked"}`)
	if replaced.field("revoked", 1) == "<nil>" || replaced.field("key", "state") != "active" {
		t.Errorf("replacing: %s", replaced.body)
	}
	response, err := http.Get(w.issuer + "/oauth2/jwks")
	if err != nil {
		t.Fatal(err)
	}
	published := adminAnswer{response, []byte(servertest.Body(t, response))}
	if published.field("keys", 0, "kid") != replaced.field("key", "kid") || published.field("keys", 1) != "<nil>" {
		t.Errorf("published are %s", published.body)
	}
	list = w.want(200, "GET", "/m2m/keys", "")
	if strings.Count(string(list.body), `"state":"revoked","`) != 2 || strings.Count(string(list.body), `"revoked_reason":"leaked"`) != 2 {
		t.Errorf("keys are %s", list.body)
	}
	w.auditOf(t, next, active, replaced.field("key", "kid"))
}

// auditOf holds the audit log against two rotations.
func (w *adminWorld) auditOf(t *testing.T, next, former, replacement string) {
	t.Helper()
	var got []string
	for _, line := range w.LogLines("m2m.audit") {
		if line["msg"] != "keys changed" || line["operation"] != "key.rotate" || line["kind"] != "key" {
			t.Errorf("the log has %v", line)
		}
		got = append(got, fmt.Sprintf("%s %s %v->%v", line["action"], line["id"], stateIn(line["before"]), stateIn(line["after"])))
	}
	want := []string{
		"create " + next + " <nil>->next", "create " + replacement + " <nil>->active",
		"update " + former + " active->revoked", "update " + next + " next->revoked",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(w.Log(), `"d":"`) {
		t.Error("the log has a private key")
	}
}

func stateIn(key any) any {
	fields, _ := key.(map[string]any)
	return fields["state"]
}

// TestKeysWhileStorageIsAway: a change that cannot be stored fails, and does not happen in memory.
func TestKeysWhileStorageIsAway(t *testing.T) {
	w := startAdmin(t)
	active := w.want(200, "GET", "/m2m/keys", "").field("keys", 0, "kid")
	w.FailStorage("List")
	w.want(503, "GET", "/m2m/keys", "")
	w.want(503, "POST", "/m2m/keys/rotate", "")
	w.FailStorage("Store")
	w.want(503, "POST", "/m2m/keys/rotate", `{"now": true, "reason": "leaked"}`)
	if n := strings.Count(w.Log(), "rotating the signing keys failed"); n != 2 {
		t.Errorf("the log says %d times that rotating failed", n)
	}
	w.FailStorage("")
	list := w.want(200, "GET", "/m2m/keys", "")
	if list.field("keys", 0, "kid") != active || list.field("keys", 0, "state") != "active" || list.field("keys", 1) != "<nil>" {
		t.Errorf("keys are %s", list.body)
	}
}
