package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

func TestExplainToken(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.token

rejected contains {"scope": s.raw, "reason": "too wide"} if {
	some s in input.scopes
	s.identifier == "*"
}

observed contains {"scope": s.raw, "reason": "on trial"} if some s in input.scopes

claims.team := input.client.attributes.team

ttl contains 120

ttl contains 60 if input.client.id == "ci-bot"

beyond_subject contains {"scope": s.raw, "reason": "the API behind"} if {
	some s in input.scopes
	s.action == "edit"
}

default_scopes contains "book:1:read"
`})
	in := request(t, "book:1:read", "book:*:read", "book:1:edit", "book:1:raed", "film:1:read", "book:secret-1:read")
	in.Client.Grants = append(in.Client.Grants, deny("book", "secret-*", "*"))
	x, err := e.ExplainToken(t.Context(), in, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		granted               bool
		reason, causes, notes string
	}{
		{true, "", "observed 8, granted shipped://token.rego", "the grant book:*:read covers it"},
		{false, "denied by a grant; too wide", "rejected shipped://token.rego, rejected 3, observed 8, granted shipped://token.rego",
			"the grant book:*:read covers it, the deny grant book:secret-*:* overlaps it"},
		{false, "no grant covers it", "observed 8, beyond_subject 16", "nearest grant: book:*:read; it lacks the action edit"},
		{false, "unknown action", "rejected shipped://token.rego, observed 8",
			`nearest grant: book:*:read; it lacks the action raed, the resource book has no action "raed"; did you mean "read"?`},
		{false, "unknown resource", "rejected shipped://token.rego, observed 8", "no grant is on the resource film"},
		{false, "denied by a grant", "rejected shipped://token.rego, observed 8, granted shipped://token.rego",
			"the grant book:*:read covers it, the deny grant book:secret-*:* overlaps it"},
	} {
		got := x.Scopes[i]
		if got.Scope != in.Scopes[i].Raw || got.Granted != want.granted || got.Reason != want.reason || got.Observed != "on trial" ||
			places(got.Causes) != want.causes || strings.Join(got.Notes, ", ") != want.notes {
			t.Errorf("%s: got %+v, causes %s\nwant %+v", in.Scopes[i].Raw, got, places(got.Causes), want)
		}
	}
	if want := []Widening{{"book:1:edit", "the API behind"}}; !slices.Equal(x.Decision.BeyondSubject, want) {
		t.Errorf("beyond the subject: %+v, want %+v", x.Decision.BeyondSubject, want)
	}
	if len(x.Claims) != 1 || x.Claims[0].Name != "team" || x.Claims[0].Value != "catalogue" || places(x.Claims[0].Causes) != "claims 10" {
		t.Errorf("claims %+v", x.Claims)
	}
	if places(x.TTL) != "ttl 14" || x.Decision.TTL != time.Minute || x.Trace != nil {
		t.Errorf("ttl %+v of %v, trace %v", x.TTL, x.Decision.TTL, x.Trace)
	}
	defaults, err := e.ExplainDefaultScopes(t.Context(), in)
	if err != nil || len(defaults) != 1 || defaults[0].Name != "book:1:read" || places(defaults[0].Causes) != "default_scopes 21" {
		t.Errorf("default scopes %+v, %v", defaults, err)
	}
}

func TestExplainRequest(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.request

denied contains {"reason": "of another tenant"} if not input.token.claims.tenant in object.get(input.request.headers, "x-tenant", [])

denied contains {"reason": "of another tenant"} if input.token.claims.tenant != "acme"

observed contains {"reason": "a change"} if input.request.method == "PUT"

required contains "shelf:1:lock"

headers["X-Tenant"] := input.token.claims.tenant
`})
	in := proxied(t)
	in.Token.Claims["tenant"] = "other"
	x, err := e.ExplainRequest(t.Context(), in, true)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(x.Decision.Denied, []string{"of another tenant"}) || places(x.Denied) != "denied 3, denied 5" || x.Denied[0].Reason != "of another tenant" {
		t.Errorf("denied %+v", x.Denied)
	}
	if places(x.Observed) != "observed 7" || len(x.Required) != 1 || x.Required[0].Name != "shelf:1:lock" || places(x.Required[0].Causes) != "required 9" {
		t.Errorf("observed %+v, required %+v", x.Observed, x.Required)
	}
	if len(x.Headers) != 1 || x.Headers[0].Value != "other" || places(x.Headers[0].Causes) != "headers 11" || x.Revision != e.Revision() || x.Decision.Revision != e.Revision() {
		t.Errorf("headers %+v, revision %s", x.Headers, x.Revision)
	}
	if text := strings.Join(x.Trace.Lines, "\n"); x.Trace.Cut || !strings.Contains(text, "a.rego:3") || !strings.Contains(text, "Exit data.m2m.request.denied") {
		t.Errorf("the trace is %s", text)
	}
}

// TestExplainOfNothing: lists are empty, and not null.
func TestExplainOfNothing(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	token, err := e.ExplainToken(t.Context(), request(t), false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.ExplainRequest(t.Context(), proxied(t), false)
	wantKind(t, err, NoRule)
	e = loadFiles(t, map[string]string{"a.rego": "package m2m.request\n\ndenied contains {\"reason\": \"x\"} if input.issuer == \"\"\n"})
	proxied, err := e.ExplainRequest(t.Context(), proxied(t), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []any{token, proxied} {
		if data, err := json.Marshal(x); err != nil || strings.Contains(string(data), "null") {
			t.Errorf("%s, %v", data, err)
		}
	}
}

func TestTraceIsBounded(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.token

claims.sum := sum([n | some n in numbers.range(1, 20000); n % 2 == 0])
`})
	x, err := e.ExplainToken(t.Context(), request(t, "book:1:read"), true)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, line := range x.Trace.Lines {
		size += len(line)
	}
	if !x.Trace.Cut || size > maxTraceBytes || len(x.Trace.Lines) > maxTraceEvents || len(x.Trace.Lines) < 1000 {
		t.Errorf("%d lines of %d bytes, cut %v", len(x.Trace.Lines), size, x.Trace.Cut)
	}
}

func TestExplainFailsAsDecisionsDo(t *testing.T) {
	for rule, kind := range map[string]Kind{
		`granted contains 1`:                                WrongType,
		"claims.a := 1\nclaims.a := 2":                      Conflict,
		`ttl contains to_number(input.client.id)`:           Eval,
		`ttl contains 60 if bits.lsh(1, 5000000) == 1`:      Timeout,
		`rejected contains {"scope": 1, "reason": "x"}`:     WrongType,
		`observed contains {"scope": "x", "reason": ["x"]}`: WrongType,
		"ttl contains 60 if {\n\tsome a in numbers.range(1, 1e4)\n\tsome b in numbers.range(1, 1e4)\n\ta + b == -1\n}": Timeout,
	} {
		dir := write(t, map[string]string{"a.rego": "package m2m.token\n\n" + hidden(rule, kind) + "\n"})
		timeout := generous
		if kind == Timeout {
			timeout = 5 * time.Millisecond
		}
		e := load(t, Config{Paths: []string{dir}, Timeout: timeout})
		x, err := e.ExplainToken(t.Context(), request(t, "book:1:read"), true)
		wantKind(t, err, kind)
		if x.Trace == nil || !strings.Contains(strings.Join(x.Trace.Lines, "\n"), "a.rego:3") {
			t.Errorf("%s: the trace until the failure is %v", rule, x.Trace)
		}
		if kind == Timeout {
			wantParts(t, err, "a.rego:", "rule ttl: no decision within 50ms, and this was evaluated last")
		}
		waitForIdle(t, e)
	}
	e := load(t, Config{})
	_, err := e.ExplainToken(blocked(t), request(t), false)
	wantKind(t, err, Canceled)
	in := request(t)
	in.Client.Attributes = map[string]any{"x": make(chan int)}
	_, err = e.ExplainToken(t.Context(), in, false)
	wantKind(t, err, Eval)
}

func TestNotes(t *testing.T) {
	grants := []scope.Grant{
		{Resource: "book", Identifiers: []string{"draft-*", "1"}, Actions: []string{"edit", "read"}},
		allow("book", "*", "read"), allow("film", "7", "*"), allow("*", "*", "list"),
		{Resource: "empty"},
	}
	for raw, want := range map[string]string{
		"book:1:edit":       "the grant book:1:edit covers it",
		"book:2:edit":       "nearest grant: book:*:read; it lacks the action edit",
		"book:draft-*:edit": "the grant book:draft-*:edit covers it",
		"book:draft:delete": "nearest grant: book:*:read; it lacks the action delete",
		"book":              "nearest grant: book:*:read; it lacks every action",
		"film:70:read":      "nearest grant: film:7:*; it lacks the identifier 70",
		"film:read":         "nearest grant: film:7:*; it lacks every identifier",
		"shelf:1:list":      "the grant *:*:list covers it",
		"shelf:1:read":      "nearest grant: *:*:list; it lacks the action read",
	} {
		if got := grantNote(grants, parse(t, raw)[0]); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
	for raw, want := range map[string]string{
		"shelf:1:read": "no grant is on the resource shelf", "*:*:read": "no grant is on every resource",
		"film:8:edit": "nearest grant: film:7:read; it lacks the identifier 8 and the action edit",
	} {
		if got := grantNote([]scope.Grant{allow("film", "7", "read"), deny("shelf", "*", "*")}, parse(t, raw)[0]); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
	if got := grantNote([]scope.Grant{deny("book", "*", "*")}, parse(t, "book")[0]); got != "the client has no grant" {
		t.Error(got)
	}
	in := request(t)
	for range 9 {
		in.Client.Grants = append(in.Client.Grants, deny("book", "*", "*"))
	}
	if notes := in.notes(parse(t, "book:1:read")[0]); len(notes) != maxNoted+2 || notes[maxNoted+1] != "more deny grants overlap it" {
		t.Errorf("notes %q", notes)
	}
}
