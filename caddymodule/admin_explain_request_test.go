package caddymodule_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestExplainRequest explains a request at two doors: door 0 for the issuer's audience, and door 1 for films.
func TestExplainRequest(t *testing.T) {
	w := explainWorld(t)
	w.want(200, "PATCH", "/m2m/clients/ci-bot", `{"audiences": null}`)
	for _, test := range []struct{ scopes, request, want string }{
		{`"book:1:read"`, `"method": "GET", "url": "https://api.example.com/books/1"`, "0 true GET /books/{id} [book:1:read book:1:read], 1 401 wrong_audience; passes true"},
		{`"book:1:read", "film:1:read"`, `"method": "GET", "url": "/books/1"`, "0 true GET /books/{id} [book:1:read book:1:read], 1 true; passes true"},
		{`"book:1:read"`, `"method": "HEAD", "url": "https://api.example.com/books/2"`, "0 403 insufficient_scope GET /books/{id} [book:2:read ], 1 401 wrong_audience; passes false"},
		{`"book:1:read"`, `"method": "PUT", "url": "/books/1", "door": 0`, "0 403 insufficient_scope PUT /books/{id} [book:1:edit  shelf:1:lock ]; passes false"},
		{`"book:1:read"`, `"method": "DELETE", "url": "/books/1", "door": 0`, "0 403 no_rule; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "https://API.example.com:443/admin?x=1", "door": 0`, "0 403 insufficient_scope api.example.com/admin [book:*:* ]; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "https://other.example.com/admin", "door": 0`, "0 403 no_rule; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "/books%2f1", "door": 0`, "0 400 ambiguous_path; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "/Books/1", "door": 0`, "0 403 no_rule; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "/books/1", "headers": {"X-HTTP-Method-Override": "PUT"}, "door": 0`, "0 400 ambiguous_method; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "/books/1?_method=PUT", "door": 0`, "0 400 ambiguous_method; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "/books/1?x=1&access%5ftoken=y", "door": 0`, "0 400 malformed_request GET /books/{id} [book:1:read book:1:read]; passes false"},
		{`"film:1:read"`, `"method": "get", "url": "/", "door": 1`, "1 400 ambiguous_method; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "https://api.example.com../books/1", "door": 0`, "0 400 ambiguous_host; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "/books/1", "headers": {"X-Original-URL": "/admin", "Forwarded": "host=x"}, "door": 0`, "0 true GET /books/{id} [book:1:read book:1:read]; passes true"},
		{`"book:1:edit"`, `"method": "GET", "url": "/books/1", "door": 0`, "0 401 missing_token GET /books/{id} [book:1:read ]; passes false"},
		{`"film:1:read"`, `"method": "GET", "url": "/", "door": 1`, "1 true; passes true"},
		{`"book:a%2Fb:read"`, `"method": "GET", "url": "/projects/a%2fb", "door": 0`, "0 true GET /projects/{id} [book:a%2Fb:read book:a%2Fb:read]; passes true"},
		{`"book:*:read"`, `"method": "GET", "url": "/projects/a%2F..", "door": 0`, "0 400 ambiguous_path; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "/healthz", "door": 0`, "0 true GET /healthz; passes true"},
		{`"book:1:read"`, `"method": "POST", "url": "/healthz", "door": 0`, "0 403 no_rule; passes false"},
		{`"book:1:read"`, `"method": "GET", "url": "/x/..;/healthz", "door": 0`, "0 400 ambiguous_path; passes false"},
		{`"book:1:edit"`, `"method": "GET", "url": "/.well-known/oauth-protected-resource", "door": 0`, "0 true; passes false"},
	} {
		got := w.explain(`{"client": "ci-bot", ` + atNoon + `, "scopes": [` + test.scopes + `], "request": {` + test.request + `}}`)
		var doors []string
		for _, d := range got.Doors {
			text := fmt.Sprintf("%d true", d.Door)
			if !d.LetThrough {
				text = fmt.Sprintf("%d %d %s", d.Door, d.Status, d.Reason)
			}
			if d.Pattern != "" {
				text += " " + d.Pattern
			}
			if len(d.Required) > 0 {
				var required []string
				for _, r := range d.Required {
					required = append(required, r.Scope+" "+r.Covered)
				}
				text += " [" + strings.Join(required, " ") + "]"
			}
			doors = append(doors, text)
		}
		if line := fmt.Sprintf("%s; passes %v", strings.Join(doors, ", "), got.Passes); line != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.request, line, test.want)
		}
	}
}

// TestExplainAsksTheDoorsPolicy also if the door only observes it.
func TestExplainAsksTheDoorsPolicy(t *testing.T) {
	w := startAdmin(t)
	w.book()
	file := servertest.WriteFile(t, t.TempDir(), "request.rego", tenants)
	door := "\nhttp://localhost:%d {\nm2m_auth {\nrequire /books/{id} book:{id}:read\npolicy %s {\ntimeout 20s\ninput_header X-Tenant\nupstream_header X-Route\n%s\n}\n}\n}\n"
	for options, letThrough := range map[string]bool{"": false, "observe": true} {
		if err := w.Load(w.config() + fmt.Sprintf(door, servertest.FreePort(t), file, options)); err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{"", "?issuer=" + w.issuer} {
			status := w.want(200, "GET", "/m2m/status"+query, "")
			if status.field("doors", 0, "policy", "healthy") != "true" || status.field("doors", 0, "policy", "where", 0) != file || status.field("doors", 1) != "<nil>" {
				t.Errorf("the status%s is %s", query, status.body)
			}
		}
		got := w.explain(`{"client": "ci-bot", "scopes": ["book:*:read"],
			"request": {"method": "PUT", "url": "/books/cellar", "headers": {"X-Tenant": "acme"}}}`)
		d := got.Doors[0]
		if d.LetThrough != letThrough || d.Observes != letThrough || got.Passes != letThrough || d.Policy == nil {
			t.Fatalf("%q: %+v", options, d)
		}
		if !letThrough && d.Reason != "denied_by_policy" {
			t.Errorf("the reason is %s", d.Reason)
		}
		var said []string
		for _, cause := range d.Policy.Denied {
			said = append(said, fmt.Sprintf("%s:%d %s", filepath.Base(cause.File), cause.Line, cause.Reason))
		}
		if fmt.Sprint(said) != "[request.rego:3 of another tenant request.rego:8 the cellar is closed]" || d.Policy.Required[0].Name != "shelf:cellar:move" ||
			d.Policy.Headers[0].Value != "/books/{id} by ci-bot" {
			t.Errorf("the policy says %v, %+v", said, d.Policy)
		}
	}
}

// TestExplainTracesADoorsPolicyThatFails: the trace ends where the policy fails.
func TestExplainTracesADoorsPolicyThatFails(t *testing.T) {
	w := startAdmin(t)
	w.book()
	file := servertest.WriteFile(t, t.TempDir(), "request.rego", "package m2m.request\n\ndenied contains {\"reason\": \"x\"} if to_number(input.request.method) > 3\n")
	if err := w.Load(w.config() + fmt.Sprintf("\nhttp://localhost:%d {\nm2m_auth {\npolicy %s {\ntimeout 20s\n}\n}\n}\n", servertest.FreePort(t), file)); err != nil {
		t.Fatal(err)
	}
	for _, trace := range []bool{false, true} {
		got := w.explain(fmt.Sprintf(`{"client": "ci-bot", "scopes": ["book:*:read"], "trace": %v, "request": {"method": "PUT", "url": "/"}}`, trace))
		d := got.Doors[0]
		if d.LetThrough || d.Reason != "no_decision" || (d.Policy != nil) != trace {
			t.Fatalf("trace %v: %+v", trace, d)
		}
		if trace && !strings.Contains(strings.Join(d.Policy.Trace.Lines, "\n"), "request.rego:3") {
			t.Errorf("the trace is %v", d.Policy.Trace)
		}
	}
}
