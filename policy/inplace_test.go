package policy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestEveryBuiltinIsPromptOrSlow: a function that OPA adds must be judged before a caller may wait for it.
func TestEveryBuiltinIsPromptOrSlow(t *testing.T) {
	judged := make(map[string]int)
	for name := range prompt {
		judged[name]++
	}
	for _, names := range slow {
		for _, name := range names {
			judged[name]++
		}
	}
	for _, builtin := range capabilities().Builtins {
		if judged[builtin.Name] != 1 {
			t.Errorf("%s is in %d lists", builtin.Name, judged[builtin.Name])
		}
		delete(judged, builtin.Name)
	}
	for name := range judged {
		t.Errorf("OPA has no %s", name)
	}
}

// TestPromptPolicies: what decides is all that the rules may call, also below helpers, comprehensions and data.
func TestPromptPolicies(t *testing.T) {
	for name, test := range map[string]struct {
		rego   string
		prompt bool
	}{
		"a clock":                 {"ttl contains 60 if time.now_ns() < 0", true},
		"the library":             {`ttl contains 60 if data.m2m.scope.covers(data.m2m.scope.parse("book"), input.scopes[0])`, true},
		"a range":                 {"ttl contains x if some x in numbers.range(60, 61)", true},
		"input replaced":          {"ttl contains 60 if _x with input as {}\n_x if input.client.id", true},
		"arithmetic":              {"ttl contains input.client.attributes.n + 1", false},
		"a regular expression":    {"ttl contains 60 if regex.match(`a`, input.client.id)", false},
		"in a helper":             {"ttl contains 60 if _x\n_x if bits.lsh(1, 5) == 32", false},
		"in a function":           {"ttl contains 60 if f(1)\nf(x) if sprintf(\"%d\", [x]) == \"1\"", false},
		"in a comprehension":      {"ttl contains 60 if [x | some y in [1]; x := y * 2] == [2]", false},
		"in every":                {"ttl contains 60 if { every x in [1] { x + 1 > 0 } }", false},
		"in a head":               {"ttl contains count(input.scopes) * 60", false},
		"in an else":              {"ttl contains _x\n_x := 1 if input.client.id == \"x\" else := 60 + 1", false},
		"in a default":            {"ttl contains _x\ndefault _x := 60\n_x := 61 if sort([1]) == [2]", false},
		"a function in a with":    {"ttl contains 60 if _x with startswith as regex.match\n_x if startswith(\"a\", \"b\")", false},
		"a rule in a with":        {"ttl contains 60 if _x with data.own as _y\n_x if data.own\n_y := bits.lsh(1, 5)", false},
		"concat of one":           {`ttl contains 60 if concat("/", [input.request.remote_ip, "32"]) == "a/32"`, true},
		"concat of two":           {"ttl contains 60 if concat(\"\", [input.client.id, input.client.id]) == \"a\"", false},
		"concat of a list":        {"ttl contains 60 if concat(\"\", input.client.networks) == \"a\"", false},
		"concat by a variable":    {`ttl contains 60 if concat(input.client.id, ["a", "b"]) == "a"`, false},
		"a rule that is not read": {"ttl contains 60 if input.client.id\n# METADATA\n# custom: {library: true}\n_x := bits.lsh(1, 5)", true},
	} {
		t.Run(name, func(t *testing.T) {
			e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n" + test.rego + "\n"})
			s := e.current.Load()
			if got := s.prepared[authorsQuery].isPrompt; got != test.prompt {
				t.Errorf("prompt: %v", got)
			}
			decide(t, e, request(t, "book:1:read"))
		})
	}
	if s := load(t, Config{}).current.Load(); !s.prepared[tokenQuery].isPrompt || !s.prepared[maskQuery].isPrompt {
		t.Error("the shipped policy is not prompt")
	}
}

// endlessHere would run for hours, and is prompt. Some policies spend their time in OPA's steps, others in a builtin function.
var endlessHere = map[string]string{
	"steps":   "x := [1 | some a in numbers.range(1, 10000); some b in numbers.range(1, 10000); some c in numbers.range(1, 10000); a == b; b != c; a == -1]\n\tcount(x) == 0",
	"a range": "some x in numbers.range(1, 1000000000000000)\n\tx == -1",
	"a set":   "x := {[a, b, c] | some a in numbers.range(1, 10000); some b in numbers.range(1, 10000); some c in numbers.range(1, 10000)}\n\tcount(x) == 0",
}

// TestDeadlineIsSeenAtOnce: values may double with each step, so none passes unseen after the deadline.
func TestDeadlineIsSeenAtOnce(t *testing.T) {
	if d := (&deadline{ctx: t.Context(), at: time.Now().Add(-time.Second)}); !d.Cancelled() {
		t.Error("the first step after the deadline is taken")
	}
}

// TestNativesEnd: a native compares all scopes with all grants only while the evaluation is not cancelled, and never each
// identifier of a grant with each action, which would take minutes here.
func TestNativesEnd(t *testing.T) {
	call := func(name string, c *evalContext, args ...*ast.Term) (found *ast.Term, err error) {
		bctx := topdown.BuiltinContext{Context: c, Cancel: c.cancel}
		err = nativeBuiltins()[nativeName(name)].Func(bctx, args, func(term *ast.Term) error { found = term; return nil })
		return found, err
	}
	many := make([]string, 100_000)
	for i := range many {
		many[i] = "other"
	}
	s := scopeTerm(parse(t, "book:1:read")[0])
	big := grantTerm(scope.Grant{Resource: "book", Identifiers: append(many, "1"), Actions: many})
	for _, name := range []string{"grant_covers", "grant_overlaps"} {
		got, err := call(name, new(evalContext), big, s)
		if err != nil || !got.Equal(ast.BooleanTerm(false)) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	ended := topdown.NewCancel()
	ended.Cancel()
	for _, name := range []string{"covered", "denied", "unknown_resource", "unknown_action"} {
		first := ast.ArrayTerm()
		if strings.HasPrefix(name, "unknown") {
			first = ast.ObjectTerm()
		}
		got, err := call(name, &evalContext{Context: t.Context(), cancel: ended}, first, ast.ArrayTerm(s))
		var halt topdown.Halt
		if !errors.As(err, &halt) || !topdown.IsCancel(halt.Err) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestDeadlineInPlace(t *testing.T) {
	for name, body := range endlessHere {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a.rego": "package m2m.token\nttl contains 60 if {\n\t" + body + "\n}\n"})
			e := load(t, Config{Paths: []string{dir}, Timeout: 50 * time.Millisecond})
			if !e.current.Load().prepared[authorsQuery].isPrompt {
				t.Fatal("it is not evaluated in place")
			}
			before := runtime.NumGoroutine()
			_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
			wantKind(t, err, Timeout, "50ms")
			if len(e.workers.slots) != 0 || runtime.NumGoroutine() > before {
				t.Error("the evaluation has not ended")
			}
			e.cfg.Timeout = time.Hour
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err = e.DecideToken(ctx, request(t, "book:1:read"))
			wantKind(t, err, Canceled)
		})
	}
}

// TestOverloadInPlace: evaluations in place and on workers have the same bound.
func TestOverloadInPlace(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package m2m.token\nttl contains 60 if time.now_ns() < 0\n"})
	e := load(t, Config{Paths: []string{dir}, Timeout: 20 * time.Millisecond, MaxConcurrent: 1})
	release := make(chan struct{})
	if !submit(e.workers, func() { <-release }, t.Context().Done(), nil) {
		t.Fatal("no worker")
	}
	_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
	wantKind(t, err, Overloaded, "20ms")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = e.DecideToken(ctx, request(t, "book:1:read"))
	wantKind(t, err, Canceled)
	close(release)
	e.cfg.Timeout = generous
	for range 3 { // a slot is free again each time
		decide(t, e, request(t, "book:1:read"))
	}
}

// TestPanicInPlace: a panic of a function is an error, and gives the slot back.
func TestPanicInPlace(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package m2m.token\nttl contains 60 if data.m2m.scope.parse(input.client.id)\n"})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous, MaxConcurrent: 1})
	e.current.Load().prepared[authorsQuery].natives = map[string]*topdown.Builtin{nativeName("parse"): {
		Decl: nativeBuiltins()[nativeName("parse")].Decl,
		Func: func(topdown.BuiltinContext, []*ast.Term, func(*ast.Term) error) error { panic("in a function") },
	}}
	for range 3 {
		_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
		wantKind(t, err, Eval, "evaluation panicked: in a function")
	}
}

// TestFaultsAreTheSameInPlace: an error has the same text wherever it occurs.
func TestFaultsAreTheSameInPlace(t *testing.T) {
	const onWorker = "observed contains {\"scope\": \"x\", \"reason\": \"y\"} if bits.lsh(1, 5) == 1\n"
	for _, rule := range []string{
		"ttl contains to_number(input.client.id)",
		"ttl contains object.get({\"x\": \"60\"}, \"x\", 1)",
		"claims.x := value if some value in [1, 2]",
		"ttl contains 60 if data.m2m.scope.covers({\"resource\": \"*\", \"action\": \"*\", \"identifier\": 1}, input.scopes[0])",
		"ttl contains 60 if data.m2m.scope.identifier_covers(object.get({}, \"x\", 1), input.client.id)",
	} {
		var texts []string
		for _, more := range []string{"", onWorker} {
			dir := write(t, map[string]string{"a.rego": "package m2m.token\n" + rule + "\n" + more})
			e := load(t, Config{Paths: []string{dir}, Timeout: generous})
			if got := e.current.Load().prepared[authorsQuery].isPrompt; got != (more == "") {
				t.Errorf("prompt: %v", got)
			}
			_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
			texts = append(texts, strings.ReplaceAll(fmt.Sprint(err), dir, ""))
		}
		if texts[0] != texts[1] || texts[0] == "<nil>" {
			t.Errorf("%s: %q", rule, texts)
		}
	}
}
