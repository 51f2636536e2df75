package policy

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// inRego decides by all rules in Rego, as an explanation does.
func inRego(t *testing.T, e *Engine, in TokenInput) (TokenDecision, error) {
	t.Helper()
	s := e.current.Load()
	q, err := tokenQuestion(s, in)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ask(t.Context(), e, q, generous)
	if err != nil {
		return TokenDecision{}, err
	}
	return answer.decide(in.Scopes, s), nil
}

// someAuthors are rules of authors that give what the shipped rules give, too, and more.
const someAuthors = `package m2m.token

granted contains s.raw if {
	some s in input.scopes
	s.identifier == "a"
}

rejected contains {"scope": s.raw, "reason": reason} if {
	some s in input.scopes
	s.identifier == "ab"
	some reason in ["denied by a grant", "a", "z"]
}

observed contains {"scope": s.raw, "reason": "on trial"} if {
	some s in input.scopes
	s.action == "read"
}

ttl contains 60

claims.client := input.client.id
`

// TestShortcutAgrees holds decisions against those of all rules in Rego, with every reason.
func TestShortcutAgrees(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	networks := []string{"10.0.0.0/8", "0.0.0.0/0", "::/0", "192.0.2.0/24", "2001:db8::/32", "::ffff:10.0.0.0/104", "10.0.0.1/8", "masked", ""}
	addresses := []string{"10.0.0.1", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1", "fe80::1%eth0", "", "10.0.0.1/8", "x", "010.0.0.1", "::", "10.0.0.1/32"}
	for name, engine := range map[string]*Engine{
		"shipped alone": load(t, Config{Timeout: generous}),
		"with authors":  loadFiles(t, map[string]string{"a.rego": someAuthors}),
	} {
		if s := engine.current.Load(); !s.shortcut || (s.prepared[authorsQuery] == nil) != (name == "shipped alone") {
			t.Fatalf("%s: no shortcut", name)
		}
		reasons := make(map[string]int)
		for range 1500 {
			in := randomRequest(t, r)
			in.Client.Networks = picks(r, networks)
			in.Request.RemoteIP = pick(r, addresses)
			in.Resources = make(map[string]*Resource)
			for _, code := range picks(r, someResources) {
				in.Resources[code] = &Resource{Actions: picks(r, someActions)}
			}
			if len(in.Scopes) > 1 && r.IntN(10) == 0 {
				in.Scopes[1].Raw = in.Scopes[0].Raw // no request has that
			}
			got, gotErr := engine.DecideToken(t.Context(), in)
			want, wantErr := inRego(t, engine, in)
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %+v\nof %+v\ngot  %+v, %v\nwant %+v, %v", name, in, in.Client, got, gotErr, want, wantErr)
			}
			for _, rejection := range want.Rejected {
				reasons[rejection.Reason]++
			}
			if wantErr != nil {
				reasons["an error"]++
			}
		}
		for _, reason := range []string{unknownResource, unknownAction, deniedByGrant, sourceNetwork, notCovered, "an error", deniedByGrant + "; " + sourceNetwork} {
			if reasons[reason] < 10 {
				t.Errorf("%s: %q was given %d times: %v", name, reason, reasons[reason], reasons)
			}
		}
	}
}

// TestOnlyWhatIsReadIsBuilt: rules see every member of the input that they read, however they read it.
func TestOnlyWhatIsReadIsBuilt(t *testing.T) {
	in := request(t, "book:1:read")
	for name, test := range map[string]struct{ rego, want string }{
		"nothing":      {`claims.x := 1`, `{}`},
		"one member":   {`claims.x := input.client.id`, `{"client"}`},
		"two members":  {`claims.x := [input.request.remote_ip, input.scopes[0].raw]`, `{"request", "scopes"}`},
		"all":          {`claims.x := input`, `{"client", "issuer", "request", "resources", "scopes"}`},
		"computed":     {`claims.x := input[name] if name := concat("", ["iss", "uer"])`, `{"client", "issuer", "request", "resources", "scopes"}`},
		"in a library": {`claims.x := count(data.m2m.grants.covered)`, `{"client", "scopes"}`},
		"a walk":       {`claims.x := [v | walk(input, [["issuer"], v])]`, `{"client", "issuer", "request", "resources", "scopes"}`},
	} {
		t.Run(name, func(t *testing.T) {
			e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n" + test.rego + "\n"})
			s := e.current.Load()
			value, err := readInput{in, s.authorsRead}.value()
			if err != nil {
				t.Fatal(err)
			}
			if got := ast.NewSet(value.(ast.Object).Keys()...).String(); got != test.want && test.want+got != "{}set()" {
				t.Errorf("the input has %s, want %s", got, test.want)
			}
			want, err := inRego(t, e, in)
			if got := decide(t, e, in); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v, %v", got, want, err)
			}
		})
	}
}

// TestNoShortcut: rules that read what the shipped rules say are evaluated together with them.
func TestNoShortcut(t *testing.T) {
	for name, test := range map[string]struct {
		rego string
		want time.Duration
	}{
		"granted":       {`ttl contains 60 if "book:1:read" in granted`, time.Minute},
		"rejected":      {`ttl contains 60 if rejected == set()`, time.Minute},
		"in a helper":   {"ttl contains 60 if _any\n_any if count(granted) == 1", time.Minute},
		"a function":    {"ttl contains 60 if f(1)\nf(_) if granted[\"book:1:read\"]", time.Minute},
		"under a with":  {"ttl contains 60 if granted == set() with input.client.grants as []", time.Minute},
		"comprehension": {`ttl contains 60 if count([g | some g in granted]) == 1`, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n" + test.rego + "\n"})
			if e.current.Load().shortcut {
				t.Error("the shipped rules are left out")
			}
			in := request(t, "book:1:read")
			if d := decide(t, e, in); d.TTL != test.want {
				t.Errorf("got %+v", d)
			}
		})
	}
}
