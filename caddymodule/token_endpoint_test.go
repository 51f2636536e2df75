package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestTokenEndpointGrants asks for tokens with the grants of the reference.
func TestTokenEndpointGrants(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	for name, c := range map[string]struct{ client, ask, granted, rejected string }{
		"everything":                           {"demo", "revenue:*:read", "revenue:*:read", ""},
		"a part":                               {"demo", "announce:read announce:update revenue:delete customer user-growth:read", "announce:read", "announce:update revenue:delete customer user-growth:read"},
		"short form of an action":              {"demo", "revenue:create", "revenue:create", ""},
		"short and long form are both echoed":  {"demo", "customer:read customer:*:read", "customer:read customer:*:read", ""},
		"every action of one identifier":       {"demo", "user-growth:2019:*", "user-growth:2019:*", ""},
		"one action of one identifier":         {"demo", "user-growth:2019:read user-growth:2020:read", "user-growth:2019:read", "user-growth:2020:read"},
		"the second of two is an action":       {"demo", "user-growth:2019 book:read", "book:read", "user-growth:2019"},
		"request order, not that of the grant": {"demo", "revenue:read book:2:read announce:read", "revenue:read book:2:read announce:read", ""},
		"rejected in request order":            {"demo", "book:9:edit book:read book:1:edit book:5:edit", "book:read", "book:9:edit book:1:edit book:5:edit"},
		"repetitions count once":               {"demo", "book:read book:edit book:read book:edit", "book:read", "book:edit"},
		"several spaces":                       {"demo", " book:read   book:1:edit ", "book:read", "book:1:edit"},
		"a prefix within a prefix":             {"demo", "book:draft-*:edit book:draft-2026-*:edit book:d*:edit", "book:draft-*:edit book:draft-2026-*:edit", "book:d*:edit"},
		"an identifier with colons":            {"demo", "book:urn:isbn:978:read", "book:urn:isbn:978:read", ""},
		"actions one by one are not all":       {"demo", "revenue book:read", "book:read", "revenue"},
		"deny wins over allow":                 {"careful", "book:secret-1:read book:1:read", "book:1:read", "book:secret-1:read"},
		"deny rejects all that reaches it":     {"careful", "book:1:read book:*:read book:read book:s*:read", "book:1:read", "book:*:read book:read book:s*:read"},
		"everything in three ways":             {"almighty", "* *:* *:*:*", "* *:* *:*:*", ""},
		"a grant on all does not cover others": {"almighty", "book magazine:read book:1:burn", "book", "magazine:read book:1:burn"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			a := w.ask(c.client, c.ask)
			w.granted(a)
			if *a.Scope != c.granted || *a.RejectedScope != c.rejected {
				t.Errorf("scope %q, rejected_scope %q; want %q, %q", *a.Scope, *a.RejectedScope, c.granted, c.rejected)
			}
			if claim := w.verified(*a.AccessToken)["scope"]; claim != c.granted {
				t.Errorf("the token holds %q", claim)
			}
		})
	}
}

func TestTokenEndpointRejectsAll(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	for name, c := range map[string]struct{ client, ask, rejected string }{
		"no grant":                 {"demo", "book:edit", "book:edit"},
		"unknown resource":         {"demo", "magazine:read magazine", "magazine:read magazine"},
		"unknown action":           {"almighty", "book:1:burn", "book:1:burn"},
		"wildcard beyond the deny": {"careful", "book", "book"},
		"everything":               {"demo", "*", "*"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			a := w.ask(c.client, c.ask)
			refusedToken(t, a, http.StatusBadRequest, "invalid_scope")
			if a.RejectedScope == nil || *a.RejectedScope != c.rejected || a.DecisionID == "" {
				t.Errorf("got %s, want rejected_scope %q and a decision_id", a, c.rejected)
			}
		})
	}
}

func TestTokenEndpointAnswersAsThePolicySaysWhenScopeIsMissing(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{
		"defaults.rego": "package m2m.token\n\n" +
			"default_scopes contains \"book:read\" if input.client.id == \"demo\"\n" +
			"default_scopes contains \"book:edit\" if input.client.id == \"demo\"\n",
	}})
	for name, form := range map[string]string{
		"omitted": w.form("demo", ""),
		"empty":   w.form("demo", "") + "&scope=",
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			a := w.post(form)
			w.granted(a)
			if *a.Scope != "book:read" || *a.RejectedScope != "" { // book:edit was not requested
				t.Errorf("got %s", a)
			}
		})
	}
	if got := w.metric("token_requests_total", `result="granted"`); got != "2" {
		t.Errorf("%s requests count as granted, want 2: nothing that was requested is rejected", got)
	}
	t.Run("of another audience", func(t *testing.T) {
		w := w.in(t)
		a := w.post(w.form("demo", "") + "&resource=https%3A%2F%2Ffilms.example.com")
		refusedToken(t, a, http.StatusBadRequest, "invalid_scope")
		if a.RejectedScope != nil || !strings.Contains(a.body, "none of the default scopes is granted") {
			t.Errorf("got %s", a)
		}
	})
	t.Run("no defaults", func(t *testing.T) {
		w := w.in(t)
		refusedToken(t, w.ask("careful", ""), http.StatusBadRequest, "invalid_scope")
	})
	t.Run("only spaces are no scope", func(t *testing.T) {
		w := w.in(t)
		refusedToken(t, w.ask("careful", "  "), http.StatusBadRequest, "invalid_scope")
	})
}

func TestTokenEndpointTakesAHundredScopes(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	list := bookScopes(100, "")
	a := w.ask("demo", list)
	w.granted(a)
	if *a.Scope != list {
		t.Errorf("scope %q", *a.Scope)
	}
	refusedToken(t, w.ask("demo", bookScopes(101, "")), http.StatusBadRequest, "invalid_scope")
}

// TestTokenEndpointRefusesWhatNoTokenCanHold: more scopes than fit are the caller's fault.
func TestTokenEndpointRefusesWhatNoTokenCanHold(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	refusedToken(t, w.ask("demo", bookScopes(10, strings.Repeat("x", 400))), http.StatusBadRequest, "invalid_scope")
	w.granted(w.ask("demo", bookScopes(7, strings.Repeat("x", 400))))
	for _, line := range w.LogLines("m2m") {
		if line["level"] == "error" {
			t.Errorf("a caller's fault is logged as an error: %v", line)
		}
	}
}

// bookScopes is a list of n scopes.
func bookScopes(n int, suffix string) string {
	scopes := make([]string, n)
	for i := range scopes {
		scopes[i] = fmt.Sprintf("book:%d%s:read", i, suffix)
	}
	return strings.Join(scopes, " ")
}

func TestTokenEndpointLeavesOtherPathsAlone(t *testing.T) {
	w := startIssuer(t, issuerSettings{site: `respond "the next handler" 418`})
	for _, path := range []string{"/", "/oauth2/token/x", "/oauth2", "/OAuth2/token", "/oauth2/introspection", "/.well-known/openid-configuration/x"} {
		if a := w.get(w.url + path); a.status != http.StatusTeapot {
			t.Errorf("%s: %s", path, a)
		}
	}
}
