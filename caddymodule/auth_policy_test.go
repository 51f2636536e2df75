package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// tenants is a policy of a door: a tenant's books are for its tokens alone.
const tenants = `package m2m.request

denied contains {"reason": "of another tenant"} if {
	some tenant in object.get(input.request.headers, "x-tenant", [""])
	tenant != object.get(input.token.claims, "tenant", "none")
}

denied contains {"reason": "the cellar is closed"} if input.request.path == ["books", "cellar"]

observed contains {"reason": "seldom"} if input.request.route.parameters.id == "rare"

required contains sprintf("shelf:%s:move", [input.request.route.parameters.id]) if input.request.method == "PUT"

headers["X-Route"] := sprintf("%s by %s", [input.request.route.pattern, input.token.client_id])
`

// newPolicyDoor is a door with a policy of its own.
func newPolicyDoor(t *testing.T, rego, options string) (d *door, file string) {
	t.Helper()
	file = servertest.WriteFile(t, t.TempDir(), "request.rego", rego)
	d = newDoor(t, "require GET /books/{id} book:{id}:read\nrequire PUT /books/{id} book:{id}:edit\n"+
		"policy "+filepath.Dir(file)+" {\ntimeout 20s\n"+options+"\n}")
	return d, file
}

// tenantToken is one for every book, of a tenant.
func (d *door) tenantToken(tenant, scopes string) string {
	return d.issuer.Sign(d.issuer.Claims(doorAudience, scopes, map[string]any{"tenant": tenant}), nil)
}

func TestDoorWithAPolicy(t *testing.T) {
	d, _ := newPolicyDoor(t, tenants, "input_header X-Tenant\nupstream_header X-Route")
	token := d.tenantToken("acme", "book:*:read book:*:edit shelf:1:move")
	for name, test := range map[string]struct {
		method, path string
		fields       []string
		status       int
		reason       string
		challenge    string
	}{
		"let through":                    {"GET", "/books/1", []string{"X-Tenant", "acme"}, 200, "", ""},
		"of another tenant":              {"GET", "/books/1", []string{"X-Tenant", "other"}, 403, "denied_by_policy", ""},
		"of two tenants":                 {"GET", "/books/1", []string{"X-Tenant", "acme", "X-Tenant", "other"}, 403, "denied_by_policy", ""},
		"of no tenant":                   {"GET", "/books/1", nil, 403, "denied_by_policy", ""},
		"in another spelling":            {"GET", "/books/1", []string{"X-Tenant", "acme", "X_Tenant", "other"}, 200, "", ""},
		"a path":                         {"GET", "/books/cellar", []string{"X-Tenant", "acme"}, 403, "denied_by_policy", ""},
		"a further scope":                {"PUT", "/books/1", []string{"X-Tenant", "acme"}, 200, "", ""},
		"a further scope that is lacked": {"PUT", "/books/2", []string{"X-Tenant", "acme"}, 403, "insufficient_scope", `scope="shelf:2:move"`},
		"the route comes first":          {"DELETE", "/books/1", []string{"X-Tenant", "acme"}, 403, "no_rule", ""},
		"what is observed":               {"GET", "/books/rare", []string{"X-Tenant", "acme"}, 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d.upstream.taken()
			got := d.ask(test.method, test.path, bearer(token, test.fields...))
			if got.status != test.status || got.reason() != test.reason || !strings.Contains(got.challenge(), test.challenge) {
				t.Fatalf("%d %s %s", got.status, got.challenge(), got.body)
			}
			if decided := got.member("decision_id") != ""; decided != (test.status == 403 && test.reason != "no_rule") {
				t.Errorf("the answer is %s", got.body)
			}
			seen := d.upstream.taken()
			if (test.status == 200) != (len(seen) == 1) {
				t.Fatalf("the upstream was asked %d times", len(seen))
			}
			if len(seen) == 1 {
				if got := seen[0].Header["X-Route"]; fmt.Sprint(got) != fmt.Sprintf("[%s /books/{id} by demo]", test.method) {
					t.Errorf("the upstream sees %q", got)
				}
				if other := seen[0].Header["X_tenant"]; other != nil {
					t.Errorf("the upstream sees another tenant, %q", other)
				}
			}
		})
	}
}

// TestHeadersOfAPolicyCannotBeSent: only the policy sets them, and no hop drops them.
func TestHeadersOfAPolicyCannotBeSent(t *testing.T) {
	d, _ := newPolicyDoor(t, "package m2m.request\n\nheaders[\"X-Route\"] := \"set\" if input.request.method == \"PUT\"\n",
		"input_header X-Tenant\nupstream_header X-Route")
	token := d.token("book:*:read book:*:edit")
	for method, want := range map[string]string{"GET": "[]", "PUT": "[set]"} {
		d.ask(method, "/books/1", bearer(token, "X-Route", "forged", "x_route", "forged", "X-Tenant", "a", "Connection", "X-Route, X-Tenant"))
		seen := d.upstream.taken()
		if len(seen) != 1 {
			t.Fatalf("%s: the upstream was asked %d times", method, len(seen))
		}
		if got := fmt.Sprint(seen[0].Header["X-Route"]); got != want || seen[0].Header["X_route"] != nil || seen[0].Header.Get("X-Tenant") != "a" {
			t.Errorf("%s: the upstream sees %v", method, seen[0].Header)
		}
	}
}

// TestDoorWhosePolicyFails: the door refuses the request, and only the log says why.
func TestDoorWhosePolicyFails(t *testing.T) {
	for name, rule := range map[string]string{
		"a builtin fails":        `denied contains {"reason": "x"} if to_number(input.request.host) > 3`,
		"a wrong type":           `denied contains json.unmarshal("7")`, // of which loading cannot know
		"a header of no door":    `headers["X-Other"] := "x"`,
		"a header with newlines": "headers[\"X-Route\"] := \"x\\ny\"",
		"a header with a space":  `headers["X-Route"] := input.request.route.parameters.id`,
		"two spellings":          "headers[\"X-Route\"] := \"x\"\n\nheaders[\"x-route\"] := \"x\"",
		"two values":             "headers[\"X-Route\"] := \"x\"\n\nheaders[\"X-Route\"] := \"y\"",
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := newPolicyDoor(t, "package m2m.request\n\n"+rule+"\n", "upstream_header X-Route")
			got := d.ask("GET", "/books/%20admin", bearer(d.token("book:%20admin:read")))
			if got.status != http.StatusServiceUnavailable || got.reason() != "no_decision" || len(d.upstream.taken()) > 0 {
				t.Errorf("%d %s", got.status, got.body)
			}
			if !strings.Contains(d.Log(), got.member("decision_id")) || got.member("decision_id") == "" {
				t.Errorf("the log does not have the decision of %s", got.body)
			}
		})
	}
}

// TestObservingDoor decides and logs, and refuses nothing.
func TestObservingDoor(t *testing.T) {
	d, _ := newPolicyDoor(t, tenants, "input_header X-Tenant\nupstream_header X-Route\nobserve")
	token := d.tenantToken("acme", "book:*:read book:*:edit")
	for _, test := range [][2]string{{"GET", "other"}, {"PUT", "acme"}} {
		if got := d.ask(test[0], "/books/1", bearer(token, "X-Tenant", test[1])); got.status != 200 {
			t.Errorf("%v: %d %s", test, got.status, got.body)
		}
		if seen := d.upstream.taken(); len(seen) != 1 || seen[0].Header["X-Route"] != nil {
			t.Errorf("%v: the upstream sees %v", test, seen)
		}
	}
	lines := d.LogLines("m2m.decisions")
	if len(lines) != 2 || lines[0]["observe"] != true || lines[0]["path"] != "m2m/request" || lines[0]["client_id"] != "demo" {
		t.Fatalf("the decision log has %v", lines)
	}
	result, _ := lines[0]["result"].(map[string]any)
	if fmt.Sprint(result["denied"]) != "[of another tenant]" {
		t.Errorf("the result is %v", result)
	}
	input, _ := json.Marshal(lines[0]["input"])
	if in, err := policy.ParseRequestInput(input); err != nil || in.Request.Path[1] != "1" || in.Request.Headers["x-tenant"][0] != "other" || in.Token.Claims["tenant"] != "acme" {
		t.Errorf("the input is %s, %v", input, err)
	}
	if strings.Contains(d.Log(), token) {
		t.Error("the log has the token")
	}
}

// TestDoorFollowsItsPolicy: a change comes into force unless it is broken.
func TestDoorFollowsItsPolicy(t *testing.T) {
	d, file := newPolicyDoor(t, "package m2m.request\n\ndenied contains {\"reason\": \"closed\"}\n", "")
	token := d.token("book:*:read")
	status := func() int { return d.ask("GET", "/books/1", bearer(token)).status }
	if got := status(); got != 403 {
		t.Fatalf("closed: %d", got)
	}
	servertest.ReplaceFile(t, filepath.Dir(file), filepath.Base(file), "package m2m.request\n\ndenied contains {\"reason\": \"closed\"} if input.request.method == \"PUT\"\n")
	servertest.Eventually(t, "the door is open", func() bool { return status() == 200 })
	servertest.ReplaceFile(t, filepath.Dir(file), filepath.Base(file), "package m2m.request\n\ndenied contains {\n")
	servertest.Eventually(t, "the log tells of the broken file", func() bool { return strings.Contains(d.Log(), "request.rego:") })
	if got := status(); got != 200 {
		t.Errorf("with a broken file: %d", got)
	}
	servertest.ReplaceFile(t, filepath.Dir(file), filepath.Base(file), "package m2m.token\n\nttl contains 60\n")
	servertest.Eventually(t, "the log tells that there is no rule", func() bool { return strings.Contains(d.Log(), "it has no rule of package m2m.request") })
	if got := status(); got != 200 {
		t.Errorf("with a policy that judges nothing: %d", got)
	}
}

// TestDoorWithItsIssuersPolicy: one policy is for tokens and for requests.
func TestDoorWithItsIssuersPolicy(t *testing.T) {
	w := startIssuer(t, issuerSettings{site: "m2m_auth {\npolicy\n}\nrespond ok", policy: map[string]string{"all.rego": `package m2m.request

denied contains {"reason": "not a reader"} if {
	input.request.method != "GET"
	not "reader" in object.get(input.token.claims, "roles", [])
}
`}})
	a := w.ask("demo", "book:read")
	w.granted(a)
	for method, want := range map[string]int{"GET": 200, "PUT": 403, "put": 400} {
		request, err := http.NewRequest(method, w.url+"/anything", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+*a.AccessToken)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if body := servertest.Body(t, response); response.StatusCode != want {
			t.Errorf("%s: %d %s", method, response.StatusCode, body)
		}
	}
}
