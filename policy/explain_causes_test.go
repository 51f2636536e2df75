package policy

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// someRules are written in the ways in which evaluation may hide what a rule gives: in part, from a
// cache, by an index, negated, below "with", in comprehensions.
var someRules = []string{
	`granted contains s.raw if some s in input.scopes`,
	`granted contains s.raw if { some s in input.scopes; s.action == "read" } { some s in input.scopes; s.resource == "film" }`,
	`granted contains "book:a:read" if input.client.id == "ci-bot"`,
	`granted contains s.raw if { some s in input.scopes; input.client.id == "other" }`,
	`granted contains "book:a:list" if input.scopes == []`,
	`granted contains raw if some raw in helper with input.client.id as "other"`,
	`granted contains s.raw if { some s in input.scopes; claims.team == "x" }`,
	`granted contains s.raw if { some s in input.scopes; not claims.team == "x" }`,
	`granted contains s.raw if { some s in input.scopes; every t in input.scopes { t.resource == s.resource } }`,
	`rejected contains {"scope": s.raw, "reason": "granted"} if { some s in input.scopes; s.raw in granted }`,
	`rejected contains {"scope": "book:a:read", "reason": "one"} if granted["book:a:read"]`,
	`rejected contains {"scope": raw, "reason": "without grants"} if { some raw in granted with input.client.grants as [] }`,
	`rejected contains {"scope": s.raw, "reason": "as other"} if { some s in input.scopes; not granted[s.raw] with input.client.id as "other" }`,
	`rejected contains {"scope": s.raw, "reason": reason} if { some s in input.scopes; some reason in {"a", "b", s.action} }`,
	`rejected contains refusal if { some s in input.scopes; refusal := {"scope": s.raw, "reason": "many"}; count([raw | some raw in granted]) > 2 }`,
	`rejected contains refusal if some refusal in observed`,
	`rejected contains {"scope": s.raw, "reason": "none granted"} if { some s in input.scopes; granted == set() with input.scopes as [] }`,
	`observed contains {"scope": s.raw, "reason": "wide"} if { some s in input.scopes; s.identifier == "*" }`,
	`observed contains {"scope": s.raw, "reason": "wide"} if { some s in input.scopes; s.action == "*" }`,
	`observed contains {"scope": raw, "reason": "granted"} if some raw in granted`,
	`beyond_subject contains {"scope": s.raw, "reason": "wide"} if { some s in input.scopes; s.action == "*" }`,
	`beyond_subject contains {"scope": raw, "reason": reason} if { some raw in granted; some reason in {"a", "b"} }`,
	`claims.team := "x" if input.client.id == "ci-bot"`,
	`claims.team := "x" if count(granted) > 1`,
	`claims[name] := value if some name, value in {"level": 3, "kind": "robot"}`,
	`claims.other := "y" if input.client.id == "other"`,
	`ttl contains 90 if { names := [name | some name, _ in claims] with input.client.id as "other"; "other" in names }`,
	`ttl contains 100 if { every name in ["other"] { claims[name] with input.client.id as "other" } }`,
	`claims.nested.a := 1`,
	`claims.nested.b := 2 if claims.team`,
	`claims.groups contains s.resource if some s in input.scopes`,
	`claims[sprintf("n%d", [count(granted)])] := true`,
	`ttl contains 60 if "book:a:read" in granted`,
	`ttl contains n if some n in [60, 300]`,
	`ttl contains 300 if claims.level == 3`,
	`ttl contains min(ttl_of) if count(ttl_of) > 0`,
}

// helperRules are libraries, because not every policy uses them.
const helperRules = `
# METADATA
# custom: {library: true}
helper contains s.raw if { some s in input.scopes; input.client.id == "other" }
# METADATA
# custom: {library: true}
ttl_of contains 120 if some s in granted with input.client.id as "ci-bot"
`

// TestOriginsSeesEveryValue: the values that were seen to be given to a rule are its value, with the
// rules that ship and with any others, so no rule that contributed is missed, and none is named that did
// not.
func TestOriginsSeesEveryValue(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	values := make(map[string]int)
	for range 30 {
		files := map[string]string{}
		for n, name := range []string{"a.rego", "b.rego"} {
			rules := []string{"package m2m.token\n", strings.Repeat(helperRules, 1-n)}
			for _, rule := range someRules {
				if r.IntN(8) == 0 {
					rules = append(rules, strings.NewReplacer("{ ", "{\n", " }", "\n}", "; ", "\n").Replace(rule))
				}
			}
			files[name] = strings.Join(rules, "\n") + "\n"
		}
		e, err := Load(Config{Paths: []string{write(t, files)}, NoDefaults: r.IntN(4) == 0, Timeout: generous})
		if err != nil && strings.Contains(err.Error(), "recursive") {
			continue
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, files)
		}
		for range 3 {
			in := randomRequest(t, r)
			in.Scopes, in.Client.Grants = in.Scopes[:min(len(in.Scopes), 8)], in.Client.Grants[:min(len(in.Client.Grants), 10)]
			checkOrigins(t, e, in, files, values)
		}
		e.Close()
	}
	for _, rule := range tokenQuery.rules {
		if values[rule] < 30 {
			t.Errorf("only %d values of %s were seen", values[rule], rule)
		}
	}
}

func checkOrigins(t *testing.T, e *Engine, in TokenInput, files map[string]string, values map[string]int) {
	t.Helper()
	q, err := tokenQuestion(e.current.Load(), in)
	if err != nil {
		t.Fatal(err)
	}
	x, err := explain(t.Context(), e, q, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, rule := range tokenQuery.rules {
		want, got := ast.NewSet(), ast.NewSet()
		switch value := x.results.terms.Elem(i).Value.(type) {
		case ast.Set:
			want = value
		case ast.Object:
			value.Foreach(func(name, value *ast.Term) {
				// claims.nested is there, though empty, when no claims.nested.x is
				if !value.Equal(ast.InternedEmptyObject) && !value.Equal(ast.SetTerm()) {
					want.Add(name)
				}
			})
		}
		for at, origins := range x.origins.origins {
			for _, origin := range origins {
				if at.rule == rule {
					got.Add(ast.NewTerm(origin.value))
				}
			}
		}
		if want.Compare(got) != 0 {
			t.Fatalf("%s is %v, and %v was seen, in\n%s\nof %v", rule, want, got, files, q.input)
		}
		values[rule] += want.Len()
	}
	if d := decide(t, e, in); fmt.Sprint(d) != fmt.Sprint(x.value.decide(in.Scopes, q.snapshot)) {
		t.Fatalf("the decision is %v, and explained as %v", d, x.value.decide(in.Scopes, q.snapshot))
	}
}

// TestOriginsNamesEveryRule: of a set every rule that gave a member is named, by its place.
func TestOriginsNamesEveryRule(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.token

ttl contains 60

ttl contains 60 if input.client.id == "ci-bot"

ttl contains 60 if input.client.id == "other"

ttl contains 60 if some s in granted with input.scopes as []

granted contains s.raw if some s in input.scopes

denials := {"book:a:edit"} if "book:a:read" in granted

rejected contains {"scope": raw, "reason": "listed"} if some raw in denials

rejected contains {"scope": "book:a:edit", "reason": "always"}
`})
	x, err := e.ExplainToken(t.Context(), request(t, "book:a:read", "book:a:edit"), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := places(x.TTL); got != "ttl 3, ttl 5" {
		t.Errorf("ttl is of %s", got)
	}
	if got := places(x.Scopes[0].Causes); got != "granted 11, granted shipped://token.rego" {
		t.Errorf("it is granted by %s", got)
	}
	if got := places(x.Scopes[1].Causes); got != "rejected 17, rejected 15, granted 11" {
		t.Errorf("it is rejected by %s", got)
	}
	if text := x.TTL[1].Text; text != `ttl contains 60 if input.client.id == "ci-bot"` {
		t.Errorf("its text is %q", text)
	}
}

// places are rules and lines; of rules that ship they are the files alone.
func places(causes []Cause) string {
	var all []string
	for _, c := range causes {
		place := strconv.Itoa(c.Line)
		if isShipped(c.File) {
			place = c.File
			if !strings.HasPrefix(c.Text, c.Rule+" contains ") {
				place = "not at " + c.Text
			}
		}
		all = append(all, c.Rule+" "+place)
	}
	return strings.Join(all, ", ")
}

// TestOriginsOverflow names no rule rather than some of them.
func TestOriginsOverflow(t *testing.T) {
	in := request(t, "book:1:read", "book:2:read")
	e := load(t, Config{Timeout: generous})
	q, err := tokenQuestion(e.current.Load(), in)
	if err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]Cause{maxRecorded: {Rule: "granted", File: "shipped://token.rego"}, 4: {Rule: "granted"}} {
		w := newOriginTracer(tokenPackage)
		w.limit = limit
		if _, err := ask(t.Context(), e, q, generous, w); err != nil {
			t.Fatal(err)
		}
		got := w.causes("granted", ast.String("book:1:read"), "")
		if len(got) != 1 || got[0].File != want.File || got[0].Rule != want.Rule {
			t.Errorf("with a limit of %d the cause is %+v", limit, got)
		}
		if limit == 4 && (w.queries != nil || w.origins != nil) {
			t.Error("it remembers all the same")
		}
	}
}
