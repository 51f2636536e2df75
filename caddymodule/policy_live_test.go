package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// frozenTest is a test of what frozen makes: of this resource nothing is had.
func frozenTest(resource string) string {
	return fmt.Sprintf(`package frozen_test

import data.m2m.scope
import data.m2m.token

test_frozen if {
	refused := {refusal.scope | some refusal in token.rejected} with input.scopes as [scope.parse("%[1]s:read")]
	"%[1]s:read" in refused
}
`, resource)
}

// TestAPolicyThatFailsItsTestsIsRefused: an event, the log and a gauge report it, and also the policy that replaces it.
func TestAPolicyThatFailsItsTestsIsRefused(t *testing.T) {
	recorded.events = nil
	w := startIssuer(t, issuerSettings{
		policyOptions: "timeout 20s\nverify", global: "events {\non m2m_reload recorder\n}",
		policy: map[string]string{"freeze.rego": frozen("announce"), "freeze_test.rego": frozenTest("announce")},
	})
	healthy := func(want string) func() bool {
		return func() bool {
			return strings.Contains(w.get(w.url+"/metrics").body, `caddy_m2m_reload_healthy{issuer="`+w.url+`",kind="policy"} `+want)
		}
	}
	w.writePolicy("freeze.rego", frozen("film"))
	servertest.Eventually(t, "the gauge says that the policy is refused", healthy("0"))
	if a := w.ask("demo", "announce:read film:read"); a.RejectedScope == nil || *a.RejectedScope != "announce:read" {
		t.Errorf("with a policy that is refused: %s", a.body)
	}
	if !strings.Contains(w.Log(), "freeze_test.rego:6: test data.frozen_test.test_frozen fails") {
		t.Error("the log does not say which test fails")
	}
	w.writePolicy("freeze_test.rego", frozenTest("film"))
	servertest.Eventually(t, "the gauge says that the policy is taken", healthy("1"))
	if a := w.ask("demo", "announce:read film:read"); a.RejectedScope == nil || *a.RejectedScope != "film:read" {
		t.Errorf("with a policy that is taken: %s", a.body)
	}
	recorded.Lock()
	defer recorded.Unlock()
	var told []string
	for _, e := range recorded.events {
		told = append(told, fmt.Sprint(e["kind"], " ", e["result"], " ", strings.Contains(fmt.Sprint(e["error"]), "test_frozen fails")))
		if e["issuer"] != w.url || e["revision"] == "" {
			t.Errorf("the event is %v", e)
		}
	}
	if fmt.Sprint(told) != "[policy error true policy ok false]" {
		t.Errorf("events are %v", told)
	}
}

// TestEachDecisionIsByOneWholePolicy replaces the policy's folder like a ConfigMap while clients ask for tokens. Each decision
// uses one of the two policies, never parts of both, and its line in the decision log names that one.
func TestEachDecisionIsByOneWholePolicy(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{policy: map[string]string{}})
	for _, version := range []string{"a", "b"} {
		for _, half := range []string{"first", "second"} {
			servertest.WriteFile(t, w.dir, filepath.Join(version, half+".rego"),
				fmt.Sprintf("package m2m.token\n\nclaims[%q] := %q\n", half, version))
		}
	}
	point := func(version string) {
		if err := os.Symlink(version, w.dir+"/policy.new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(w.dir+"/policy.new", w.dir+"/policy"); err != nil {
			t.Fatal(err)
		}
	}
	point("a")
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var mu sync.Mutex
	versions := make(map[string]string) // by jti
	for range 3 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a := w.ask("demo", "book:read")
				if a.status != 200 {
					t.Errorf("%d %s", a.status, a.body)
					return
				}
				claims := w.verified(*a.AccessToken)
				if claims["first"] != claims["second"] {
					t.Errorf("a token is by %v and %v", claims["first"], claims["second"])
				}
				mu.Lock()
				versions[fmt.Sprint(claims["jti"])] = fmt.Sprint(claims["first"])
				mu.Unlock()
			}
		})
	}
	for range 2 {
		for _, version := range []string{"b", "a"} {
			point(version)
			servertest.Eventually(t, "the other policy decides", func() bool {
				a := w.ask("demo", "book:read")
				return a.AccessToken != nil && w.verified(*a.AccessToken)["first"] == version
			})
		}
	}
	close(stop)
	clients.Wait()
	revisions := make(map[string]string) // of each version
	for _, line := range w.LogLines("m2m.decisions") {
		version, revision := versions[fmt.Sprint(line["jti"])], fmt.Sprint(line["revision"])
		switch {
		case version == "":
		case revisions[version] == "":
			revisions[version] = revision
		case revisions[version] != revision:
			t.Errorf("policy %s has the revisions %s and %s", version, revisions[version], revision)
		}
	}
	if len(revisions) != 2 || revisions["a"] == revisions["b"] {
		t.Errorf("the revisions are %v", revisions)
	}
}
