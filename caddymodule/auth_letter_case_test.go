package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestTheDoorReadsAnIdentifierInItsOwnCase is the regression test for a fault by which a door judged
// /books/ORDER-1 by the token for order-1: the look-up that ignores the case of letters overwrote
// the path values of the one that does not.
func TestTheDoorReadsAnIdentifierInItsOwnCase(t *testing.T) {
	d := newDoor(t, "require GET /books/{id} book:{id}:read\nrequire GET /files/{rest...} file:{rest}:read\nrequire GET /t/{tenant}/{doc} doc:{tenant}:{doc}:read")
	for _, c := range []struct {
		scope, target string
		status        int
	}{
		{"book:ORDER-X7A:read", "/books/ORDER-X7A", 200},
		{"book:order-x7a:read", "/books/order-x7a", 200},
		{"book:order-x7a:read", "/books/ORDER-X7A", 403},
		{"book:ORDER-X7A:read", "/books/order-x7a", 403},
		{"book:9fK2xQ:read", "/books/9fK2xQ", 200},
		{"book:9fk2xq:read", "/books/9fK2xQ", 403},
		{"book:Team-A-*:read", "/books/Team-A-1", 200},
		{"book:team-a-*:read", "/books/Team-A-1", 403},
		{"book:k:read", "/books/%E2%84%AA", 403}, // the Kelvin sign, whose lower case is k
		{"book:%E2%84%AA:read", "/books/%E2%84%AA", 200},
		{"book:i%CC%87:read", "/books/%C4%B0", 403}, // I with a dot, whose lower case is two code points
		{"book:%CF%83:read", "/books/%CE%A3", 403},  // small and capital sigma
		{"book:%CE%A3:read", "/books/%CE%A3", 200},
		{"file:Invoices/A.pdf:read", "/files/Invoices/A.pdf", 200},
		{"file:invoices/a.pdf:read", "/files/Invoices/A.pdf", 403},
		{"doc:Acme:Plan:read", "/t/Acme/Plan", 200},
		{"doc:acme:plan:read", "/t/Acme/Plan", 403},
	} {
		got := d.ask("GET", c.target, bearer(d.token(c.scope)))
		if got.status != c.status {
			t.Errorf("token %s, GET %s: %d %s, want %d", c.scope, c.target, got.status, got.body, c.status)
		}
		if seen := d.upstream.taken(); len(seen) > 0 != (c.status == 200) {
			t.Errorf("token %s, GET %s: the upstream was asked %d times", c.scope, c.target, len(seen))
		}
	}
}

// rootPolicy denies one identifier, and tells the upstream which one it saw.
const rootPolicy = `package m2m.request

denied contains {"reason": "the root"} if input.request.route.parameters.id == "ROOT"

headers["X-Route"] := input.request.route.parameters.id
`

func TestADoorPolicyReadsAnIdentifierInItsOwnCase(t *testing.T) {
	d, _ := newPolicyDoor(t, rootPolicy, "upstream_header X-Route")
	token := d.token("book:*:read")
	for id, status := range map[string]int{"ROOT": 403, "root": 200, "Order-X7a": 200} {
		if got := d.ask("GET", "/books/"+id, bearer(token)); got.status != status {
			t.Errorf("%s: %d %s, want %d", id, got.status, got.body, status)
		}
		seen := d.upstream.taken()
		if status == 200 && (len(seen) != 1 || seen[0].Header.Get("X-Route") != id) {
			t.Errorf("%s: the upstream sees %v", id, seen)
		}
	}
}

func TestExplainReadsAnIdentifierInItsOwnCase(t *testing.T) {
	w := startAdmin(t)
	w.book()
	file := servertest.WriteFile(t, t.TempDir(), "request.rego", rootPolicy)
	if err := w.Load(w.config() + fmt.Sprintf("\nhttp://localhost:%d {\nm2m_auth {\nrequire /books/{id} book:{id}:read\npolicy %s {\ntimeout 20s\nupstream_header X-Route\n}\n}\n}\n", servertest.FreePort(t), file)); err != nil {
		t.Fatal(err)
	}
	for id, letThrough := range map[string]bool{"ROOT": false, "Order-X7a": true} {
		got := w.explain(`{"client": "ci-bot", "scopes": ["book:*:read"], "request": {"method": "GET", "url": "/books/` + id + `"}}`)
		d := got.Doors[0]
		if d.LetThrough != letThrough || len(d.Required) != 1 || d.Required[0].Scope != "book:"+id+":read" || d.Policy == nil {
			t.Fatalf("%s: %+v", id, d)
		}
		if !letThrough && d.Status != http.StatusForbidden {
			t.Errorf("%s: %d", id, d.Status)
		}
		if letThrough && !strings.Contains(fmt.Sprint(d.Policy.Headers), id) {
			t.Errorf("%s: the policy sets %v", id, d.Policy.Headers)
		}
	}
}
