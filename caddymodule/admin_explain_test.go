package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func TestExplainScopes(t *testing.T) {
	w := explainWorld(t)
	got := w.explain(`{"client": "ci-bot", ` + atNoon + `, "remote_ip": "192.0.2.1",
		"scopes": ["book:1:read", "book:*:read", "book:7:edit", "book:8:edit", "book:secret-1:read", "boook:1:read", "film:1:read", "lost:1:read", "a::b", "book:1:read"]}`)
	for i, want := range []string{
		"book:1:read granted [granted token.rego] [the grant book:*:read covers it]",
		"book:*:read rejected denied by a grant, observed too wide [rejected token.rego observed trial.rego:9 granted token.rego] [the grant book:*:read covers it the deny grant book:secret-*:* overlaps it]",
		"book:7:edit rejected read only at night [rejected trial.rego:3 granted token.rego] [the grant book:7:edit covers it]",
		"book:8:edit rejected read only at night [rejected trial.rego:3] [nearest grant: book:*:read; it lacks the action edit]",
		"book:secret-1:read rejected denied by a grant [rejected token.rego granted token.rego] [the grant book:*:read covers it the deny grant book:secret-*:* overlaps it]",
		`boook:1:read rejected unknown resource [rejected token.rego] [no grant is on the resource boook there is no resource boook; did you mean "book"?]`,
		"film:1:read rejected other_audience [] [its audience https://films.example.com is not one of the client's]",
		"lost:1:read rejected unknown resource [rejected token.rego granted trial.rego:22] [no grant is on the resource lost there is no resource lost]",
		"a::b rejected malformed: empty identifier [] []",
	} {
		if i >= len(got.Scopes) {
			t.Fatalf("there are %d scopes", len(got.Scopes))
		}
		s := got.Scopes[i]
		verdict := "granted"
		if !s.Granted {
			verdict = "rejected " + s.Reason
		}
		if s.Observed != "" {
			verdict += ", observed " + s.Observed
		}
		if line := fmt.Sprint(s.Scope, " ", verdict, " ", s.Causes, " ", s.Notes); line != want {
			t.Errorf("got  %s\nwant %s", line, want)
		}
	}
	if len(got.Scopes) != 9 || got.Passes || fmt.Sprint(got.Refusals) != `[{malformed_scope the scope "a::b" is malformed: empty identifier}]` {
		t.Errorf("%d scopes, passes %v, refusals %v", len(got.Scopes), got.Passes, got.Refusals)
	}
	if got.TTL.Seconds != 60 || got.TTL.From != "policy" || fmt.Sprint(got.TTL.Causes) != "[ttl trial.rego:18]" || fmt.Sprint(got.Audience) != "[https://api.example.com]" {
		t.Errorf("ttl %+v, audience %v", got.TTL, got.Audience)
	}
	if len(got.Claims) != 1 || got.Claims[0].Value != "catalogue" || fmt.Sprint(got.Claims[0].Causes) != "[claims trial.rego:14]" {
		t.Errorf("claims %+v", got.Claims)
	}
	if got.Trace != nil || got.Doors != nil {
		t.Error("the answer has a trace or a door without being asked")
	}
}

// TestExplainAgrees: an explanation agrees with the answer to the token request.
func TestExplainAgrees(t *testing.T) {
	w := explainWorld(t)
	secret := w.want(201, "POST", "/m2m/clients/ci-bot/secrets", `{}`).field("client_secret")
	for _, scopes := range []string{"book:1:read", "book:1:read book:*:read", "book:7:edit film:1:read book:2:read", "lost:1:read", "*", "book:1:read lost:1:read"} {
		list, _ := json.Marshal(strings.Fields(scopes))
		var granted, rejected []string
		for _, s := range w.explain(`{"client": "ci-bot", "remote_ip": "127.0.0.1", "scopes": ` + string(list) + `}`).Scopes {
			if s.Granted {
				granted = append(granted, s.Scope)
			} else {
				rejected = append(rejected, s.Scope)
			}
		}
		gotGranted, gotRejected, _ := w.token("ci-bot", secret, scopes)
		if gotGranted != strings.Join(granted, " ") || gotRejected != strings.Join(rejected, " ") {
			t.Errorf("%s: explained as %q and %q, and answered %q and %q", scopes, granted, rejected, gotGranted, gotRejected)
		}
	}
}

func TestExplainRefusals(t *testing.T) {
	w := explainWorld(t)
	refusals := func(got told) string {
		var all []string
		for _, r := range got.Refusals {
			all = append(all, r.Reason)
		}
		return strings.Join(all, " ")
	}
	w.want(200, "POST", "/m2m/clients/ci-bot/disable", "")
	got := w.explain(`{"client": "ci-bot", "scopes": ["book:1:read"]}`)
	if refusals(got) != "client_disabled" || got.Passes || !got.Scopes[0].Granted {
		t.Errorf("a disabled client: %+v", got)
	}
	w.want(200, "POST", "/m2m/clients/ci-bot/enable", "")
	w.want(200, "PATCH", "/m2m/clients/ci-bot", `{"expires": "2031-01-01T00:00:00Z"}`)
	if got = w.explain(`{"client": "ci-bot", "scopes": ["book:1:read"], "time": "2031-01-01T00:00:00Z"}`); refusals(got) != "client_expired" {
		t.Errorf("an expired client: %+v", got)
	}
	if got = w.explain(`{"client": "ci-bot", "scopes": ["book:1:read"], ` + atNoon + `}`); !got.Passes {
		t.Errorf("before it expires: %+v", got)
	}
	for audience, want := range map[string]string{"https://films.example.com": "invalid_target", "https://nowhere.example.com": "invalid_target", "https://api.example.com": ""} {
		if got = w.explain(`{"client": "ci-bot", "scopes": ["book:1:read"], "audience": ["` + audience + `"]}`); refusals(got) != want || !got.Scopes[0].Granted {
			t.Errorf("%s: %+v", audience, got)
		}
	}
	w.want(201, "POST", "/m2m/clients", `{"id": "forger", "secret": false, "attributes": {"team": "forger"}, "networks": ["10.0.0.0/8"], "token_ttl": "2m",
		"grants": [{"resource": "*", "identifiers": ["*"], "actions": ["*"]}]}`)
	got = w.explain(`{"client": "forger", ` + atNoon + `, "remote_ip": "10.0.0.1"}`)
	if refusals(got) != "unfit_claims" || !strings.Contains(got.Refusals[0].Description, `trial.rego:16) are unfit: minting claims: claim "iss" is reserved`) || got.TTL.From != "client" {
		t.Errorf("a claim that may not be: %+v", got)
	}
	if s := got.Scopes[0]; s.Scope != "book:*:read" || fmt.Sprint(s.Causes) != "[default_scopes trial.rego:20 observed trial.rego:9 granted token.rego]" {
		t.Errorf("a default scope: %+v", s)
	}
	if notes := fmt.Sprint(got.Notes); !strings.Contains(notes, "no secret that works") || strings.Contains(notes, "networks") {
		t.Errorf("notes %s", notes)
	}
	got = w.explain(`{"client": "forger", "scopes": ["book:1:read"]}`)
	if !strings.Contains(fmt.Sprint(got.Notes), "no remote address is given") || got.Scopes[0].Reason != "source network" {
		t.Errorf("from nowhere: %+v", got)
	}
	w.want(201, "POST", "/m2m/clients", `{"id": "broken", "attributes": {"team": "x"}}`)
	got = w.explain(`{"client": "broken", "scopes": ["book:1:read"], "trace": true}`)
	if refusals(got) != "no_decision" || !strings.Contains(got.Refusals[0].Description, "trial.rego:24") || got.Scopes[0].Reason != "no decision" || got.TTL.Seconds != 0 {
		t.Errorf("a rule that fails: %+v", got)
	}
	if got.Trace == nil || !strings.Contains(strings.Join(got.Trace.Lines, "\n"), "trial.rego:24") {
		t.Errorf("the trace until it fails is %v", got.Trace)
	}
}

func TestExplainBadInput(t *testing.T) {
	w := explainWorld(t)
	scopes := strings.TrimSuffix(strings.Repeat(`"book:1:read",`, 101), ",")
	for body, want := range map[string]string{
		`{}`:                                 "client is missing",
		`{"client": "ci-bot", "scope": "x"}`: "scope",
		`{"client": "ci-bot", "scopes": [` + scopes + `]}`:                                                         "more than 100 scopes",
		`{"client": "ci-bot", "remote_ip": "here"}`:                                                                "remote_ip",
		`{"client": "ci-bot", "time": "noon"}`:                                                                     "time",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "ftp://x/"}}`:                                    "request.url",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "https://u@x/"}}`:                                "request.url",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "books"}}`:                                       "request.url",
		`{"client": "ci-bot", "request": ["GET", "/"]}`:                                                            "request must be an object with method",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "header": {}}}`:                             `unknown field "header" in request`,
		`{"client": "ci-bot", "request": {"method": 1, "url": "/"}}`:                                               "request.method must be a string",
		`{"client": "ci-bot", "request": {"method": "GET", "url": null}}`:                                          "request.url must be a string",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "headers": {"X-A": ["b"]}}}`:                "request.headers must be an object of strings",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "remote_ip": 1}}`:                           "request.remote_ip must be a string",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "door": 0.5}}`:                              "request.door must be a whole number",
		`{"client": "ci-bot", "request": {"method": "G T", "url": "/"}}`:                                           "request.method",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "door": 2}}`:                                "from 0 to 1",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "headers": {"Authorization": "Bearer x"}}}`: "give none",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "headers": {"host": "x"}}}`:                 "that of the URL",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "headers": {"a b": "x"}}}`:                  "not a header",
		`{"client": "ci-bot", "request": {"method": "GET", "url": "/", "remote_ip": "x"}}`:                         "remote_ip",
	} {
		if answer := w.want(400, "POST", "/m2m/explain", body); !strings.Contains(answer.field("message"), want) {
			t.Errorf("%s: %s", body, answer.body)
		}
	}
	w.want(404, "POST", "/m2m/explain", `{"client": "nobody"}`)
	w.want(415, "POST", "/m2m/explain", `{"client": "ci-bot"}`, "Content-Type", "text/plain")
}

// TestExplainLeavesNoTrace: explaining writes no decision, count or usage, and its answer has no hash of a secret.
func TestExplainLeavesNoTrace(t *testing.T) {
	w := explainWorld(t)
	secret := w.want(201, "POST", "/m2m/clients/ci-bot/secrets", `{}`).field("client_secret")
	answer := w.want(200, "POST", "/m2m/explain", `{"client": "ci-bot", "scopes": ["book:1:read"], "trace": true, "request": {"method": "GET", "url": "/books/1"}}`)
	for _, hidden := range []string{secret, registry.HashSecret(secret), "sha256"} {
		if strings.Contains(string(answer.body), hidden) {
			t.Errorf("it tells %s: %s", hidden, answer.body)
		}
	}
	if !strings.Contains(string(answer.body), "Enter data.m2m.token.granted") {
		t.Errorf("the trace is not there: %s", answer.body)
	}
	if strings.Contains(w.Log(), "token decision") {
		t.Error("it is in the decision log")
	}
	if used := w.want(200, "GET", "/m2m/clients/ci-bot/secrets", "").field("secrets", 0, "last_used"); used != "<nil>" {
		t.Errorf("the secret is said to be used at %s", used)
	}
}
