package caddymodule_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// faultyPolicy fails in a different way for each client.
const faultyPolicy = `package m2m.token

claims[{"reserved": "iss"}[input.client.id]] := "https://evil.example.com"

claims[{"reserved-in-capitals": "SCOPE", "control": "a\nb"}[input.client.id]] := "*"

claims["big"] := [x | some x in numbers.range(1, 5000)] if input.client.id == "too-large"

claims["a"] := 1 if input.client.id == "conflict"

claims["a"] := 2 if input.client.id == "conflict"

granted contains object.get({"v": 7}, "v", null) if input.client.id == "granted-number"

rejected contains object.get({"v": "book:read"}, "v", null) if input.client.id == "rejected-text"

rejected contains object.get({"v": {"scope": "book:read", "reason": 1}}, "v", null) if input.client.id == "reason-number"

ttl contains object.get({"v": "1h"}, "v", null) if input.client.id == "ttl-text"

ttl contains object.get({"v": 0}, "v", null) if input.client.id == "ttl-zero"

ttl contains object.get({"v": 1.5}, "v", null) if input.client.id == "ttl-fraction"

default_scopes contains object.get({"v": "book:"}, "v", null) if input.client.id == "default-malformed"

rejected contains {"scope": "book:read", "reason": "x"} if {
	input.client.id == "builtin"
	to_number(input.client.description) > 3
}

rejected contains {"scope": "book:read", "reason": "x"} if {
	input.client.id == "endless"
	count([1 |
		some a in numbers.range(1, 3000)
		some b in numbers.range(1, 3000)
		some c in numbers.range(1, 3000)
		a + b + c == 0
	]) > 1
}
`

// TestPolicyFaultsGiveNoToken: a fault of the policy is answered with 503, in bounded time. The log names the rule and the
// file, and the answer does not. Without the timeout, the endless policy would run for hours.
func TestPolicyFaultsGiveNoToken(t *testing.T) {
	faults := map[string]string{ // client, and what the log says
		"reserved":             `faulty.rego:9) are unfit: minting claims: claim "iss" is reserved`,
		"reserved-in-capitals": `faulty.rego:9) are unfit: minting claims: claim "SCOPE" is reserved`,
		"too-large":            "faulty.rego:9) are unfit: minting claims: the claims have more than 4096 bytes",
		"control":              `faulty.rego:9) are unfit: minting claims: the name of claim "a\nb" has`,
		"conflict":             "faulty.rego:11",
		"granted-number":       "faulty.rego:13",
		"rejected-text":        "faulty.rego:15",
		"reason-number":        "faulty.rego:17",
		"ttl-text":             "faulty.rego:19",
		"ttl-zero":             "faulty.rego:21",
		"ttl-fraction":         "faulty.rego:23",
		"default-malformed":    "faulty.rego:25",
		"builtin":              "faulty.rego:29",
		"endless":              "no decision within 2s",
	}
	clients := new(strings.Builder)
	for client := range faults {
		clients.WriteString("  " + client + ":\n    description: no number\n    secrets: [{id: s1, sha256: HASH}]\n    grants: [{resource: book, identifiers: [\"*\"], actions: [\"*\"]}]\n")
	}
	w := startIssuer(t, issuerSettings{registry: catalogue + clients.String(), policy: map[string]string{"faulty.rego": faultyPolicy}, policyOptions: "timeout 2s"})
	w.granted(w.ask("demo", "book:read"))
	for client, want := range faults {
		t.Run(client, func(t *testing.T) {
			w := w.in(t)
			scopes := "book:read book:edit"
			if strings.HasPrefix(client, "default") {
				scopes = ""
			}
			start := time.Now()
			a := w.ask(client, scopes)
			refusedToken(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("the answer took %v", took)
			}
			if a.DecisionID == "" || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "claim") {
				t.Errorf("the answer is %s with %v", a, a.header)
			}
			w.logsFault(t, a.DecisionID, client, want)
		})
	}
	w.granted(w.ask("demo", "book:read"))
	for kind, want := range map[string]string{"conflict": "1", "timeout": "1", "eval": "1", "wrong_type": "11"} {
		if got := w.metric("policy_errors_total", fmt.Sprintf("kind=%q", kind)); got != want {
			t.Errorf("policy errors of kind %s are %s, want %s", kind, got, want)
		}
	}
}

// TestCallerThatGoesIsNoFault: clients that hang up before the decision cannot fill the log with errors.
func TestCallerThatGoesIsNoFault(t *testing.T) {
	registry := catalogue + "  endless:\n    secrets: [{id: s1, sha256: HASH}]\n"
	w := startIssuer(t, issuerSettings{registry: registry, policy: map[string]string{"faulty.rego": faultyPolicy}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	request := w.request(http.MethodPost, w.tokenURL(), strings.NewReader(w.form("endless", "book:read")), "Content-Type", formType)
	if response, err := w.client.Do(request.WithContext(ctx)); err == nil {
		response.Body.Close()
		t.Fatalf("there is an answer: %v", response)
	}
	servertest.Eventually(t, "the request is given up", func() bool {
		return w.metric("token_requests_total", `result="temporarily_unavailable"`) == "1"
	})
	if lines := w.errorLines(); len(lines) != 0 {
		t.Errorf("the log has the errors %q", lines)
	}
}

// logsFault fails the test unless the log has the error line of a decision.
func (w *issuerWorld) logsFault(t *testing.T, id, client, want string) {
	t.Helper()
	for _, line := range w.LogLines("m2m") {
		if line["decision_id"] != id {
			continue
		}
		if cause, _ := line["error"].(string); line["level"] != "error" || line["client_id"] != client || !strings.Contains(cause, want) {
			t.Errorf("the log has %v, want %q in the error", line, want)
		}
		return
	}
	t.Errorf("the log does not have the decision %s", id)
}

// TestPolicyWithoutDefaultsGrantsNothing: without the shipped rules, only the author's rules grant scopes.
func TestPolicyWithoutDefaultsGrantsNothing(t *testing.T) {
	w := startIssuer(t, issuerSettings{policyOptions: "defaults off"})
	refusedToken(t, w.ask("almighty", "book:read"), http.StatusBadRequest, "invalid_scope")
}

// TestPolicyCannotGrantMoreThanIsAsked: a token has no scopes that the client did not ask for.
func TestPolicyCannotGrantMoreThanIsAsked(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{"generous.rego": "package m2m.token\n\ngranted contains \"book:*:edit\"\n\ngranted contains \"*\"\n"}})
	a := w.ask("demo", "book:read")
	w.granted(a)
	if *a.Scope != "book:read" || w.verified(*a.AccessToken)["scope"] != "book:read" {
		t.Errorf("got %s", a)
	}
}

// TestRejectedWinsOverGranted: an author's rule rejects what the shipped rules grant.
func TestRejectedWinsOverGranted(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{
		"freeze.rego": "package m2m.token\n\nrejected contains {\"scope\": s.raw, \"reason\": \"frozen\"} if {\n\tsome s in input.scopes\n\ts.resource in data.frozen\n}\n",
		"freeze.json": `{"frozen": ["book"]}`,
	}})
	a := w.ask("demo", "book:read announce:read")
	w.granted(a)
	if *a.Scope != "announce:read" || *a.RejectedScope != "book:read" {
		t.Errorf("got %s", a)
	}
}
