package caddymodule_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// decision is the line of the decision log that has this id; the empty id stands for the latest.
func (w *issuerWorld) decision(id string) map[string]any {
	w.t.Helper()
	for _, line := range slices.Backward(w.LogLines("m2m.decisions")) {
		if id == "" || line["decision_id"] == id {
			return line
		}
	}
	w.t.Fatalf("the decision log does not have %q", id)
	return nil
}

// rejected is what that decision rejected, with reasons.
func (w *issuerWorld) rejected(id string) any {
	w.t.Helper()
	result, _ := w.decision(id)["result"].(map[string]any)
	return result["rejected"]
}

func TestDecisionLogSaysWhatWasDecided(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{"freeze.rego": frozen("announce")}})
	a := w.ask("demo", "book:read announce:read magazine book:burn book:edit")
	w.granted(a)
	line := w.decision("")
	if got := slices.Sorted(maps.Keys(line)); !slices.Equal(got, []string{
		"client_id", "decision_id", "input", "jti", "key_id", "labels", "level", "logger", "metrics", "msg", "path",
		"registry_revision", "requested_by", "result", "revision", "timestamp", "ts",
	}) {
		t.Errorf("the line has %v", got)
	}
	for name, want := range map[string]string{
		"client_id": "demo", "path": "m2m/token", "labels": "map[issuer:" + w.url + "]", "level": "info", "requested_by": "127.0.0.1",
		"jti": w.verified(*a.AccessToken)["jti"].(string),
		"result": "map[granted:[book:read] rejected:[map[reason:frozen scope:announce:read] map[reason:unknown resource scope:magazine] " +
			"map[reason:unknown action scope:book:burn] map[reason:no grant covers it scope:book:edit]]]",
	} {
		if got := fmt.Sprint(line[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if duration, ok := line["metrics"].(map[string]any)["timer_server_handler_ns"].(float64); !ok || duration <= 0 || line["revision"] == "" || line["registry_revision"] == "" {
		t.Errorf("the line is %v", line)
	}
}

func TestDecisionIDOfAnErrorIsInTheLog(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "audience " + issuerAudience})
	a := w.ask("careful", "book:secret-1:read book:edit")
	refusedToken(t, a, http.StatusBadRequest, "invalid_scope")
	line := w.decision(a.DecisionID)
	if granted := line["result"].(map[string]any)["granted"]; fmt.Sprint(granted) != "[]" || line["jti"] != "" || line["client_id"] != "careful" {
		t.Errorf("the line is %v", line)
	}
	a = w.ask("careful", "book:1:read", "resource", filmAudience)
	refusedToken(t, a, http.StatusBadRequest, "invalid_scope")
	if got := fmt.Sprint(w.rejected(a.DecisionID)); got != "[map[reason:other_audience scope:book:1:read]]" {
		t.Errorf("rejected is %s", got)
	}
}

// TestDecisionNamesThePolicyThatMadeIt: the revision changes with the policy, and back.
func TestDecisionNamesThePolicyThatMadeIt(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{"freeze.rego": frozen("announce")}})
	revision := func() any {
		w.granted(w.ask("demo", "book:read"))
		return w.decision("")["revision"]
	}
	first := revision()
	w.writePolicy("freeze.rego", frozen("film"))
	servertest.Eventually(t, "the policy has another revision", func() bool { return revision() != first })
	w.writePolicy("freeze.rego", frozen("announce"))
	servertest.Eventually(t, "the policy has its first revision", func() bool { return revision() == first })
}

// TestMaskThatFailsIsCounted: the token is issued, and its line says only that it was.
func TestMaskThatFailsIsCounted(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{"mask.rego": "package m2m.log\n\nmask contains concat(\" \", [\"no\", \"pointer\"]) if input.client_id == \"careful\"\n\nmask contains \"/input/client/attributes\"\n"}})
	w.granted(w.ask("careful", "book:1:read"))
	line := w.decision("")
	if line["input"] != nil || line["result"] != nil || line["client_id"] != nil || line["requested_by"] != nil || line["mask_error"] == nil || line["jti"] == "" {
		t.Errorf("the line is %v", line)
	}
	if got := w.metric("policy_errors_total", `kind="wrong_type"`); got != "1" {
		t.Errorf("%s errors are counted", got)
	}
	w.granted(w.ask("demo", "book:1:read"))
	line = w.decision("")
	client, _ := line["input"].(map[string]any)["client"].(map[string]any)
	if attributes, there := client["attributes"]; there || client["grants"] == nil || line["client_id"] != "demo" || fmt.Sprint(line["erased"]) != "[/input/client/attributes]" {
		t.Errorf("attributes are %v, and the line %v", attributes, line)
	}
}

// TestLogWithoutDecisions: tokens are issued although a log excludes decisions.
func TestLogWithoutDecisions(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{})
	w.Silent = []string{"m2m.decisions"}
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	w.granted(w.ask("demo", "book:1:read"))
	if lines := w.LogLines("m2m.decisions"); len(lines) > 0 {
		t.Errorf("the log has %v", lines)
	}
}

// TestStrangersFillNoLog: what requests without credentials can cause is logged at debug level only, apart from a bounded
// number of lines about clients of the registry.
func TestStrangersFillNoLog(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	before := len(w.Log())
	for _, form := range []string{
		"", "grant_type=x", "grant_type=client_credentials",
		"grant_type=client_credentials&client_id=nobody&client_secret=" + registry.NewSecret(),
		"grant_type=client_credentials&client_id=former&client_secret=" + w.secret, "%zz", strings.Repeat("a", 70000),
	} {
		w.post(form)
	}
	w.get(w.tokenURL())
	w.get(w.url + "/oauth2/authorize")
	refusals := 0
	for line := range strings.Lines(w.Log()[before:]) {
		switch {
		case !strings.Contains(line, `"logger":"m2m`), strings.Contains(line, `"msg":"a client is refused"`):
		case !strings.Contains(line, `"level":"debug"`):
			t.Errorf("logged: %s", line)
		case strings.Contains(line, "token request refused"):
			refusals++
		}
	}
	if refusals != 8 {
		t.Errorf("%d refusals are logged at debug level, of 8", refusals)
	}
}
