package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

const requireLines = `
	require GET /books book:*:read
	require GET /books/{id} book:{id}:read
	require PUT /books/{id} book:{id}:edit
	require GET /books/{id}/pages/{page} book:{id}/{page}:read
	require GET /shelves/{$} shelf:*:read
	require GET /docs/ doc:read
	require GET /files/{rest...} file:{rest}:read
	require /ping/{id} ping:{id}:touch
	require POST /transfers book:*:read ledger:main:write
	require DELETE /years/{year} report:year-{year}-all:delete
	require GET admin.example.com/stats stats:read
	require GET /stats/{$} public:read
`

// TestRequiredScopesAreCovered has a table of the scopes of a token and a request. If need is not "", the request is refused
// because it needs that scope. With noRule, no line matches the request.
func TestRequiredScopesAreCovered(t *testing.T) {
	const granted, noRule = "", "-"
	d := newDoor(t, requireLines)
	cases := []struct{ scopes, request, need string }{
		{"book:*:read", "GET /books", granted},
		{"book:read", "GET /books", granted},
		{"book", "GET /books", granted},
		{"*", "GET /books", granted},
		{"book:1:read", "GET /books", "book:*:read"},
		{"book:*:edit", "GET /books", "book:*:read"},
		{"books:*:read", "GET /books", "book:*:read"},
		{"", "GET /books", "book:*:read"},
		{"book:1*:read book:2*:read", "GET /books", "book:*:read"},

		{"book:*:read", "GET /books/1", granted},
		{"book:*", "GET /books/1", granted},
		{"book:1:read", "GET /books/1", granted},
		{"other:*:* book:1:read", "GET /books/1", granted},
		{"book:2:read", "GET /books/1", "book:1:read"},
		{"book:1:read", "GET /books/10", "book:10:read"},
		{"book:1:read", "PUT /books/1", "book:1:edit"},
		{"book:1:edit", "GET /books/1", "book:1:read"},
		{"book:2024-*:read", "GET /books/2024-05", granted},
		{"book:2024-*:read", "GET /books/2024-", granted},
		{"book:2024-*:read", "GET /books/2023-05", "book:2023-05:read"},
		{"book:2024-*:read", "GET /books/2024", "book:2024:read"},
		{"book:7/3:read", "GET /books/7/pages/3", granted},
		{"book:7:read", "GET /books/7/pages/3", "book:7/3:read"},

		// what stands in a path stands for itself alone
		{"book:1:read", "GET /books/*", "book:%2A:read"},
		{"book:1:read", "GET /books/%2A", "book:%2A:read"},
		{"book:1:read", "GET /books/1*", "book:1%2A:read"},
		{"book:1*:read", "GET /books/1*", granted},
		{"book:a:read", "GET /books/a:b", "book:a:b:read"},
		{"book:a:b:read", "GET /books/a:b", granted},
		{"book:1:edit", "GET /books/1:edit", "book:1:edit:read"},
		{"book:a:read book:b:read", "GET /books/a%20book:b", "book:a%20book:b:read"},
		{"book:a%20b:read", "GET /books/a%20b", granted},
		{"book:a:read", "GET /books/a%22", "book:a%22:read"},
		{"book:1:read", "GET /books/{id}", "book:{id}:read"},
		{"book:1:read", "GET /books/%E2%82%AC", "book:%E2%82%AC:read"},

		{"book:1:read", "HEAD /books/1", granted},
		{"book:2:read", "HEAD /books/1", "book:1:read"},
		{"*", "POST /books/1", noRule},
		{"*", "OPTIONS /books/1", noRule},
		{"*", "GET /", noRule},
		{"*", "GET /Books", noRule},
		{"*", "GET /books/", noRule}, // an {id} is something
		{"*", "GET /books/1/", noRule},
		{"*", "GET /shelves", noRule}, // ServeMux would redirect to /shelves/
		{"shelf:read", "GET /shelves/", granted},
		{"*", "GET /shelves/1", noRule},
		{"*", "GET /docs", noRule}, // as it would here
		{"doc:read", "GET /docs/", granted},
		{"doc:read", "GET /docs/a/b", granted},

		{"file:a/b/c.txt:read", "GET /files/a/b/c.txt", granted},
		{"file:a/*:read", "GET /files/a/b/c.txt", granted},
		{"file:a:read", "GET /files/a/b/c.txt", "file:a/b/c.txt:read"},
		{"*", "GET /files/", noRule}, // nothing is named
		{"*", "GET /files/" + strings.Repeat("a", 600), noRule},

		{"ping:1:touch", "PATCH /ping/1", granted},
		{"ping:1:touch", "PROPFIND /ping/1", granted},
		{"ping:2:touch", "POST /ping/1", "ping:1:touch"},
		{"report:year-2024-all:delete", "DELETE /years/2024", granted},
		{"report:year-2024-*:delete", "DELETE /years/2024", granted},
		{"report:year-2024-all:delete", "DELETE /years/2025", "report:year-2025-all:delete"},

		{"book:*:read ledger:main:write", "POST /transfers", granted},
		{"book:*:read", "POST /transfers", "book:*:read ledger:main:write"},
		{"ledger:*", "POST /transfers", "book:*:read ledger:main:write"},
	}
	for _, c := range cases {
		t.Run(c.scopes+" "+c.request[:min(len(c.request), 40)], func(t *testing.T) {
			method, target, _ := strings.Cut(c.request, " ")
			got := d.ask(method, target, bearer(d.token(c.scopes)))
			switch {
			case c.need == granted && got.status != http.StatusOK:
				t.Errorf("refused: %d %s", got.status, got.body)
			case c.need == noRule && (got.status != http.StatusForbidden || got.reason() != "no_rule"):
				t.Errorf("%d %s, want no rule", got.status, got.body)
			case c.need == noRule || c.need == granted:
			case got.status != http.StatusForbidden || !strings.Contains(got.challenge(), `scope="`+c.need+`"`):
				t.Errorf("%d %q, want 403 naming %s", got.status, got.challenge(), c.need)
			case method != "HEAD" && (got.reason() != "insufficient_scope" || got.member("scope") != c.need):
				t.Errorf("body %s", got.body)
			}
			if seen := d.upstream.taken(); len(seen) > 0 != (c.need == granted) {
				t.Errorf("the upstream was asked %d times", len(seen))
			}
		})
	}
}

func TestRequirementsOfAHost(t *testing.T) {
	d := newDoor(t, requireLines)
	for host, want := range map[string]int{
		"admin.example.com": 200, "admin.example.com:8443": 200, "www.example.com": 403, "admin.example.com.example.org": 403,
	} {
		if got := d.ask("GET", "/stats", bearer(d.token("stats:read"), "Host", host)); got.status != want {
			t.Errorf("%s: %d %s", host, got.status, got.body)
		}
	}
}

// TestTheScopeThatIsNamedWillDo: a request passes with the scope that its refusal named.
func TestTheScopeThatIsNamedWillDo(t *testing.T) {
	d := newDoor(t, requireLines)
	for _, target := range []string{"/books", "/books/1", "/books/a:b", "/books/a%20b", "/books/*", "/books/%C3%A9", "/files/a/b", "/books/1/pages/2"} {
		refused := d.ask("GET", target, bearer(d.token("other")))
		if got := d.ask("GET", target, bearer(d.token(refused.member("scope")))); got.status != http.StatusOK {
			t.Errorf("%s with %q: %d %s", target, refused.member("scope"), got.status, got.body)
		}
	}
}

func TestAValidTokenIsEnoughWithoutRequirements(t *testing.T) {
	d := newDoor(t, "")
	for _, scopes := range []string{"", "book:1:read", "not::a-scope"} {
		if got := d.ask("DELETE", "/anything", bearer(d.token(scopes))); got.status != http.StatusOK {
			t.Errorf("%q: %d %s", scopes, got.status, got.body)
		}
	}
}
