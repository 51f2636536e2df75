package policy

import (
	"path/filepath"
	"testing"
)

// verified is a policy with a test of it, which holds while the reason is "closed".
func verified(reason string) map[string]string {
	return map[string]string{
		"a.rego": "package m2m.token\n\nrejected contains {\"scope\": s.raw, \"reason\": \"" + reason + "\"} if some s in input.scopes\n",
		"a_test.rego": `package m2m.token_test

import data.m2m.scope
import data.m2m.token

test_closed if {
	rejected := token.rejected with input.scopes as [scope.parse("book:1:read")]
	{"scope": "book:1:read", "reason": "closed"} in rejected
}

todo_test_more if false
`,
	}
}

// TestVerify: a policy is taken when its tests hold, and else the one in force stays.
func TestVerify(t *testing.T) {
	dir := write(t, verified("closed"))
	e := load(t, Config{Paths: []string{dir}, Verify: true, Timeout: generous})
	first := e.Revision()
	for name, content := range verified("broken") {
		put(t, filepath.Join(dir, name), content)
	}
	if changed, err := e.Reload(); changed || e.Healthy() {
		t.Errorf("changed %v, healthy %v", changed, e.Healthy())
	} else {
		wantParts(t, err, "/a_test.rego:6: test data.m2m.token_test.test_closed fails")
	}
	if changed, err := e.Reload(); changed || err != nil {
		t.Errorf("once more: %v, %v", changed, err)
	}
	if got := summary(decide(t, e, request(t, "book:1:read"))); got != " | book:1:read (closed)" {
		t.Error(got)
	}
	// the test is mended, and the policy that it refused is taken
	put(t, filepath.Join(dir, "a_test.rego"), "package m2m.token_test\n\ntest_nothing if true\n")
	if changed, err := e.Reload(); !changed || err != nil || !e.Healthy() || e.Revision() == first {
		t.Errorf("changed %v, %v, healthy %v", changed, err, e.Healthy())
	}
	// tests are no part of the policy, and are run all the same when they alone have changed
	second := e.Revision()
	put(t, filepath.Join(dir, "a_test.rego"), "package m2m.token_test\n\ntest_something_else if true\n")
	if changed, err := e.Reload(); changed || err != nil || e.Revision() != second {
		t.Errorf("changed %v, %v", changed, err)
	}
	put(t, filepath.Join(dir, "b_test.rego"), "package b_test\n\ntest_no if false\n")
	if changed, err := e.Reload(); changed || e.Healthy() || e.Revision() != second {
		t.Errorf("changed %v, healthy %v", changed, e.Healthy())
	} else {
		wantParts(t, err, "test data.b_test.test_no fails")
	}
	// an edit that is undone does not make the tests pass
	put(t, filepath.Join(dir, "a.rego"), verified("other")["a.rego"])
	if _, err := e.Reload(); err == nil {
		t.Error("a policy is taken whose tests fail")
	}
	put(t, filepath.Join(dir, "a.rego"), verified("broken")["a.rego"])
	if _, err := e.Reload(); err == nil || e.Healthy() {
		t.Errorf("with the edit undone: %v, healthy %v", err, e.Healthy())
	}
}

// TestRequireRequests: a policy that judges requests is not replaced by one that judges none.
func TestRequireRequests(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package m2m.request\n\ndenied contains {\"reason\": \"x\"}\n"})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	if err := e.RequireRequests(); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "a.rego"), "package m2m.token\n\nttl contains 60\n")
	if changed, err := e.Reload(); changed || e.Healthy() {
		t.Errorf("changed %v, healthy %v", changed, e.Healthy())
	} else {
		wantParts(t, err, "no rule of package m2m.request")
	}
	if d, err := e.DecideRequest(t.Context(), proxied(t)); err != nil || len(d.Denied) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestVerifyErrors(t *testing.T) {
	good := verified("closed")
	for name, test := range map[string]struct {
		test string
		part string
	}{
		"a test that fails":         {"package x_test\n\ntest_no if 1 == 2\n", "test data.x_test.test_no fails"},
		"a test with an error":      {"package x_test\n\ntest_no if to_number(\"x\") == 2\n", "test_no ends with an error"},
		"a test that is not Rego":   {"package x_test\n\ntest_no if {\n", "_test.rego:"},
		"rules of a contract":       {"package m2m.token\n\ngranted contains \"*\"\n", "write package m2m.token_test"},
		"rules of ours":             {"package m2m.scope\n\ncovers(a, b) := true\n", "write package m2m.scope_test"},
		"a builtin that is removed": {"package x_test\n\ntest_no if http.send({})\n", "http.send is not available"},
		"no test at all":            {"package x_test\n\nhelper := 1\n", "it has no test, and verify is on"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a.rego": good["a.rego"], "x_test.rego": test.test})
			_, err := Load(Config{Paths: []string{dir}, Verify: true, Timeout: generous})
			wantParts(t, err, test.part)
			if e, err := Load(Config{Paths: []string{dir}, Timeout: generous}); err != nil {
				t.Errorf("without verify: %v", err)
			} else {
				e.Close()
			}
		})
	}
}
