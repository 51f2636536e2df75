package policy

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// prepared prepares a query to the Rego that ships.
func prepared(tb testing.TB, text string) func(ast.Value) *ast.Array {
	tb.Helper()
	sources, err := shippedFiles(false)
	if err != nil {
		tb.Fatal(err)
	}
	modules, err := parseModules(sources)
	if err != nil {
		tb.Fatal(err)
	}
	store := inmem.New()
	compiler, err := compileModules(modules, store)
	if err != nil {
		tb.Fatal(err)
	}
	prepared, err := prepare(compiler, store, text, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return func(input ast.Value) *ast.Array {
		answers, err := eval(prepared, evaluation{input: ast.NewTerm(input), cancel: topdown.NewCancel()})
		if err != nil {
			tb.Fatal(err)
		}
		return answers
	}
}

const parseQuery = "[parsed | some raw in input; parsed := [scope | scope := data.m2m.scope.parse(raw)]]"

// checkParse compares Go's and Rego's answers to whether, and as what, texts are scopes.
func checkParse(t *testing.T, parse func(ast.Value) *ast.Array, raws []string) {
	t.Helper()
	answers := parse(arrayTerm(raws, ast.StringTerm).Value)
	for i, raw := range raws {
		want := ast.ArrayTerm()
		if s, err := scope.Parse(raw); err == nil {
			want = ast.ArrayTerm(scopeTerm(s))
		}
		if got := answers.Elem(i); !got.Equal(want) {
			t.Errorf("%q: Rego says %v, Go says %v", raw, got, want)
		}
	}
}

func TestParseAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "b", "book", "read", ":", ":", ":", "*", "*", "%2A", "~", "!", " ", "\"", "\\", "\n", "\x7f", "ö", "\u2028", "\x00", "-"}
	raws := []string{""}
	for range 3000 {
		var b strings.Builder
		for range r.IntN(9) {
			b.WriteString(alphabet[r.IntN(len(alphabet))])
		}
		raws = append(raws, b.String())
	}
	for n := range 4 {
		raws = append(raws, strings.Repeat("a", scope.MaxLength-2+n))
	}
	checkParse(t, prepared(t, parseQuery), raws)
}

func FuzzParseAgrees(f *testing.F) {
	for _, raw := range []string{"book:1:read", "book", "*", "a:b:c:d", "a:b*:c", "::", "book:1:read\n", "\x00", "ö", "\xff"} {
		f.Add(raw)
	}
	parse := prepared(f, parseQuery)
	f.Fuzz(func(t *testing.T, raw string) { checkParse(t, parse, []string{raw}) })
}

// Few values, so that random scopes often meet.
var (
	someResources   = []string{"*", "book", "film"}
	someIdentifiers = []string{"*", "a", "ab", "a*", "ab*", "abc", "b:*", "b:c", ":"}
	someActions     = []string{"*", "read", "edit"}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func picks(r *rand.Rand, from []string) []string {
	picked := make([]string, r.IntN(4))
	for i := range picked {
		picked[i] = pick(r, from)
	}
	return picked
}

func randomScope(r *rand.Rand) scope.Scope {
	s := scope.Scope{Resource: pick(r, someResources), Identifier: pick(r, someIdentifiers), Action: pick(r, someActions)}
	s.Raw = s.String()
	return s
}

func randomGrant(r *rand.Rand, denials float64) scope.Grant {
	return scope.Grant{
		Resource: pick(r, someResources), Identifiers: picks(r, someIdentifiers), Actions: picks(r, someActions),
		Deny: r.Float64() < denials,
	}
}

func TestAlgebraAgrees(t *testing.T) {
	type example struct {
		a, b scope.Scope
		g    scope.Grant
	}
	r := rand.New(rand.NewPCG(3, 4))
	examples := make([]example, 2000)
	for i := range examples {
		examples[i] = example{randomScope(r), randomScope(r), randomGrant(r, 0.5)}
	}
	ask := prepared(t, `[answers | some [a, b, g] in input; answers := [
		data.m2m.scope.covers(a, b), data.m2m.scope.overlaps(a, b),
		data.m2m.scope.grant_covers(g, b), data.m2m.scope.grant_overlaps(g, b)]]`)
	answers := ask(arrayTerm(examples, func(e example) *ast.Term {
		return ast.ArrayTerm(scopeTerm(e.a), scopeTerm(e.b), grantTerm(e.g))
	}).Value)
	for i, e := range examples {
		want := arrayTerm([]bool{e.a.Covers(e.b), e.a.Overlaps(e.b), e.g.Covers(e.b), e.g.Overlaps(e.b)}, ast.BooleanTerm)
		if got := answers.Elem(i); !got.Equal(want) {
			t.Fatalf("%s, %s, %+v: Rego says %v, Go says %v", e.a, e.b, e.g, got, want)
		}
	}
}

// fromGrants grants by the library what the policy that ships grants by itself.
const fromGrants = `package m2m.token

import data.m2m.grants

granted contains s.raw if {
	some s in input.scopes
	s.raw in (((grants.covered - grants.denied) - grants.unknown_resource) - grants.unknown_action)
}
`

// TestShippedPolicyAgrees holds the ways in which the shipped policy and the library find grants
// against the plain definition: some allow grant covers, and no deny grant overlaps.
func TestShippedPolicyAgrees(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	dir := write(t, map[string]string{"a.rego": fromGrants})
	library := load(t, Config{Paths: []string{dir}, NoDefaults: true, Timeout: generous})
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		in := randomRequest(t, r)
		var want TokenDecision
		for _, s := range in.Scopes {
			if reason := refusal(in.Client.Grants, s); reason != "" {
				want.Rejected = append(want.Rejected, Rejection{s.Raw, reason})
			} else {
				want.Granted = append(want.Granted, s.Raw)
			}
		}
		if d := decide(t, e, in); summary(d) != summary(want) {
			t.Fatalf("%+v\nasked %v\ngot  %s\nwant %s", in.Client.Grants, in.Scopes, summary(d), summary(want))
		}
		if d := decide(t, library, in); !slices.Equal(d.Granted, want.Granted) {
			t.Fatalf("%+v\nasked %v\nlibrary %s\nwant %q", in.Client.Grants, in.Scopes, summary(d), want.Granted)
		}
	}
}

// randomRequest is of one client in two with many deny grants besides.
func randomRequest(t *testing.T, r *rand.Rand) TokenInput {
	in := request(t)
	in.Resources["film"] = in.Resources["book"]
	in.Client.Grants = nil
	for range r.IntN(8) {
		in.Client.Grants = append(in.Client.Grants, randomGrant(r, 0.15))
	}
	for range r.IntN(12) {
		in.Scopes = append(in.Scopes, randomScope(r))
	}
	if r.IntN(2) == 0 {
		return in
	}
	in.Client.Grants = append(in.Client.Grants, allow("*", "*", "*"))
	for range r.IntN(40) {
		in.Client.Grants = append(in.Client.Grants, deny(rare(r, someResources), rareIdentifier(r), rare(r, someActions)))
	}
	for range r.IntN(40) {
		s := scope.Scope{Resource: rare(r, someResources), Identifier: rareIdentifier(r), Action: rare(r, someActions)}
		s.Raw = s.String()
		in.Scopes = append(in.Scopes, s)
	}
	return in
}

// rare picks the wildcard, the first of all, so seldom that many grants leave something over.
func rare(r *rand.Rand, from []string) string {
	if r.IntN(10) == 0 {
		return from[0]
	}
	return pick(r, from[1:])
}

func rareIdentifier(r *rand.Rand) string {
	switch id := strconv.Itoa(r.IntN(300)); r.IntN(20) {
	case 0:
		return scope.Any
	case 1, 2, 3:
		return id + scope.Any
	default:
		return id
	}
}

// refusal is the reason to refuse a scope, none when it is granted.
func refusal(grants []scope.Grant, s scope.Scope) string {
	switch {
	case slices.ContainsFunc(grants, func(g scope.Grant) bool { return g.Deny && g.Overlaps(s) }):
		return "denied by a grant"
	case !slices.ContainsFunc(grants, func(g scope.Grant) bool { return !g.Deny && g.Covers(s) }):
		return notCovered
	}
	return ""
}
