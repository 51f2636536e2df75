package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// damage cuts off the stored object of an entry: "clients/brk" or "resources/rb".
func (w *adminWorld) damage(entry string) {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "registry", entry+".json"))
	if err != nil || len(found) != 1 {
		w.t.Fatalf("objects of %s are %v, %v", entry, found, err)
	}
	if err := os.Truncate(found[0], 30); err != nil {
		w.t.Fatal(err)
	}
}

// broken is a server that has started with a broken resource rb, on which the client rbc has a grant.
func broken(t *testing.T) *adminWorld {
	t.Helper()
	w := startAdmin(t)
	w.book()
	w.want(201, "POST", "/m2m/resources", `{"code": "rb", "actions": {"x": ""}}`)
	w.want(201, "POST", "/m2m/clients", `{"id": "rbc", "grants": [{"resource": "rb", "identifiers": ["*"], "actions": ["x"]}]}`)
	w.damage("resources/rb")
	if err := w.Restart(w.config()); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestBrokenResourceIsSeen: every answer that would be incomplete without the resource names it.
func TestBrokenResourceIsSeen(t *testing.T) {
	w := broken(t)
	for _, path := range []string{"/m2m/resources", "/m2m/export", "/m2m/resources/rb"} {
		if answer := w.want(503, "GET", path, ""); !strings.Contains(answer.field("message"), "resources/rb.json") {
			t.Errorf("%s: %s", path, answer.body)
		}
	}
	status := w.want(200, "GET", "/m2m/status", "")
	if status.field("issuers", 0, "registry", "healthy") != "false" || !strings.Contains(status.field("issuers", 0, "registry", "problem"), "resources/rb.json") {
		t.Errorf("the status is %s", status.body)
	}
	servertest.Eventually(t, "the gauge is 0", func() bool {
		return strings.Contains(string(w.call("GET", "/metrics", "").body), fmt.Sprintf(`caddy_m2m_reload_healthy{issuer="%s",kind="registry"} 0`, w.issuer))
	})
	w.want(200, "GET", "/m2m/resources/book", "")
}

// TestClientsOfABrokenResource: they can be disabled, rotated and changed like other clients.
func TestClientsOfABrokenResource(t *testing.T) {
	w := broken(t)
	const rbc = "/m2m/clients/rbc"
	w.want(200, "POST", rbc+"/disable", "")
	w.want(200, "POST", rbc+"/enable", "")
	w.want(200, "PATCH", rbc, `{"description": "changed"}`)
	w.want(200, "PATCH", rbc, `{"grants": [{"resource": "rb", "identifiers": ["*"], "actions": ["x"]}, {"resource": "book", "identifiers": ["*"], "actions": ["read"]}]}`)
	w.want(400, "PATCH", rbc, `{"grants": [{"resource": "rb", "identifiers": ["*"], "actions": ["y"]}]}`)
	w.want(201, "POST", rbc+"/secrets/rotate", `{}`)
	w.want(200, "POST", rbc+"/grants", `{"scope": "book:*:edit"}`)
	w.want(400, "POST", rbc+"/grants", `{"scope": "rb:*:y"}`)
	w.want(200, "DELETE", rbc+"/grants?scope=rb:*:x", "")
}

// TestBrokenResourceIsRepaired only by deleting it, or by applying a file that has it.
func TestBrokenResourceIsRepaired(t *testing.T) {
	w := broken(t)
	if answer := w.want(409, "POST", "/m2m/resources", `{"code": "rb", "actions": {"z": ""}}`); answer.field("error") != "exists" {
		t.Errorf("creating it again: %s", answer.body)
	}
	w.want(503, "PATCH", "/m2m/resources/rb", `{"description": "x"}`)
	if answer := w.want(409, "DELETE", "/m2m/resources/rb", ""); answer.field("used_by", 0) != "rbc" {
		t.Errorf("deleting what a grant names: %s", answer.body)
	}
	const file = `{"resources": {"rb": {"actions": {"x": ""}}}}`
	planned := w.want(200, "POST", "/m2m/apply?dry_run=true", file)
	if planned.field("changes", 0, "action") != "update" || !strings.Contains(planned.field("changes", 0, "before", "broken"), "resources/rb.json") {
		t.Errorf("planned is %s", planned.body)
	}
	w.want(200, "POST", "/m2m/apply", file)
	w.want(200, "GET", "/m2m/export", "")

	w.want(204, "DELETE", "/m2m/clients/rbc", "")
	w.damage("resources/rb")
	if err := w.Restart(w.config()); err != nil {
		t.Fatal(err)
	}
	w.want(204, "DELETE", "/m2m/resources/rb", "")
	w.want(200, "GET", "/m2m/resources", "")
	if status := w.want(200, "GET", "/m2m/status", ""); status.field("issuers", 0, "registry", "healthy") != "true" {
		t.Errorf("the status is %s", status.body)
	}
}

// TestBrokenClient: lists and exports name it before the answer begins, and the audit log does not invent its old state.
func TestBrokenClient(t *testing.T) {
	w := startAdmin(t)
	w.book()
	w.want(201, "POST", "/m2m/clients", `{"id": "brk"}`)
	w.damage("clients/brk")
	if err := w.Restart(w.config()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/m2m/clients", "/m2m/export", "/m2m/export?format=yaml", "/m2m/clients/brk"} {
		if answer := w.want(503, "GET", path, ""); !strings.Contains(answer.field("message"), "clients/brk.json") {
			t.Errorf("%s: %s", path, answer.body)
		}
	}
	w.want(503, "POST", "/m2m/clients/brk/disable", "")
	w.want(503, "DELETE", "/m2m/clients/brk/grants?scope=book:*:read", "")
	w.want(409, "POST", "/m2m/clients", `{"id": "brk"}`)
	w.want(204, "DELETE", "/m2m/clients/brk", "")
	lines := w.LogLines("m2m.audit")
	before, _ := lines[len(lines)-1]["before"].(map[string]any)
	if len(before) != 1 || !strings.Contains(fmt.Sprint(before["broken"]), "clients/brk.json") {
		t.Errorf("the audit log says it was %v", before)
	}
}

// TestLargeExport exports more clients than are kept in memory.
func TestLargeExport(t *testing.T) {
	w := startAdmin(t)
	entries := make(map[string]any)
	for n := range 60 {
		entries[fmt.Sprintf("c%02d", n)] = map[string]string{"description": strings.Repeat("x", 100_000)}
	}
	file, err := json.Marshal(map[string]any{"clients": entries})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	w.want(200, "POST", "/m2m/apply", string(file))
	exported := w.want(200, "GET", "/m2m/export", "")
	if int64(len(exported.body)) != exported.ContentLength || exported.ContentLength < 6_000_000 {
		t.Errorf("%d bytes, announced are %d", len(exported.body), exported.ContentLength)
	}
	if same := w.want(200, "POST", "/m2m/apply?dry_run=true&prune=true", string(exported.body)); same.field("changes") != "[]" {
		t.Errorf("the export differs: %.200s", same.body)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	if answer := w.want(503, "GET", "/m2m/export", ""); !strings.Contains(answer.field("message"), "temporary file") {
		t.Errorf("without a temporary file: %s", answer.body)
	}
}

// TestReplacedSecretIsSeen: a change that gives the ID of a secret another hash says so, without the hash.
func TestReplacedSecretIsSeen(t *testing.T) {
	w := startAdmin(t)
	secret := w.book()
	old := w.want(200, "GET", "/m2m/clients/ci-bot/secrets", "").field("secrets", 0, "fingerprint")
	file := string(w.want(200, "GET", "/m2m/export", "").body)
	another := registry.NewSecret()
	file = strings.Replace(file, registry.HashSecret(secret), registry.HashSecret(another), 1)
	for _, path := range []string{"/m2m/apply?dry_run=true", "/m2m/apply"} {
		answer := w.want(200, "POST", path, file)
		before, after := answer.field("changes", 0, "before", "secrets", 0, "fingerprint"), answer.field("changes", 0, "after", "secrets", 0, "fingerprint")
		if before != old || len(after) != 8 || after == before {
			t.Errorf("%s: %s -> %s in %s", path, before, after, answer.body)
		}
		if strings.Contains(string(answer.body), registry.HashSecret(another)) {
			t.Errorf("%s shows a hash", path)
		}
	}
	lines := w.LogLines("m2m.audit")
	last := lines[len(lines)-1]
	if fmt.Sprint(last["before"]) == fmt.Sprint(last["after"]) {
		t.Errorf("in the audit log it was, and is, %v", last["after"])
	}
}

// TestSeveralGrantsAtOnce adds and removes several grants in one change.
func TestSeveralGrantsAtOnce(t *testing.T) {
	w := startAdmin(t)
	w.book()
	const grants = "/m2m/clients/ci-bot/grants"
	w.want(200, "POST", grants, `{"scopes": ["book:1:read", "book:2:edit"], "effect": "deny"}`)
	w.want(400, "POST", grants, `{"scopes": ["book:5:read", "nope:*:x"]}`)
	w.want(404, "DELETE", grants+"?scope=book:*:read&scope=book:9:read", "")
	if list := string(w.want(200, "GET", grants, "").body); strings.Contains(list, "book:5") || !strings.Contains(list, "book:*:read") {
		t.Errorf("half of a change is made: %s", list)
	}
	left := w.want(200, "DELETE", grants+"?scope=book:1:read&scope=book:2:edit&scope=book:1:read&effect=deny", "")
	if left.field("grants", 0, "scope") != "book:*:read" || left.field("grants", 1) != "<nil>" {
		t.Errorf("left are %s", left.body)
	}
	changes := 0
	for _, line := range w.LogLines("m2m.audit") {
		if strings.HasPrefix(fmt.Sprint(line["operation"]), "grant.") {
			changes++
		}
	}
	if changes != 2 {
		t.Errorf("%d changes are logged", changes)
	}
}
