package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// nativePair evaluates one function of the library in Go and in Rego.
type nativePair struct {
	inGo, inRego *preparedQuery
}

// nativePairs compiles the library, and a rule that calls each function with the elements of its argument.
func nativePairs(tb testing.TB) map[string]nativePair {
	tb.Helper()
	probe := "package probe\n"
	for _, name := range nativeNames() {
		args := "x[0], x[1]"
		if name == "parse" {
			args = "x[0]"
		}
		probe += fmt.Sprintf("%s(x) := data.m2m.scope.%s(%s)\n", name, name, args)
	}
	pairs := make(map[string]nativePair)
	var queries [2]map[string]*preparedQuery
	for i := range queries {
		sources, err := shippedFiles(true)
		if err != nil {
			tb.Fatal(err)
		}
		modules, err := parseModules(sources)
		if err != nil {
			tb.Fatal(err)
		}
		modules["probe.rego"] = ast.MustParseModule(probe)
		store := inmem.New()
		compiler, err := compileModules(modules, store)
		if err != nil {
			tb.Fatal(err)
		}
		queries[i] = make(map[string]*preparedQuery)
		for _, name := range nativeNames() {
			if queries[i][name], err = prepare(compiler, store, "[value | value := data.probe."+name+"(input)]", nativeBuiltins()); err != nil {
				tb.Fatal(err)
			}
		}
		if i == 0 {
			useNatives(compiler)
			if text := fmt.Sprint(compiler.Modules["probe.rego"]); strings.Count(text, "m2m_scope_") != len(natives) {
				tb.Fatalf("not all calls are native: %s", text)
			}
		}
	}
	for _, name := range nativeNames() {
		pairs[name] = nativePair{queries[0][name], queries[1][name]}
	}
	return pairs
}

// check compares values and errors. It returns what both say.
func (p nativePair) check(t *testing.T, name string, args *ast.Term) *ast.Array {
	t.Helper()
	ask := func(query *preparedQuery) (*ast.Array, error) {
		return eval(query, evaluation{input: args, cancel: topdown.NewCancel()})
	}
	got, gotErr := ask(p.inGo)
	want, wantErr := ask(p.inRego)
	if (gotErr == nil) != (wantErr == nil) || gotErr == nil && got.Compare(want) != 0 {
		t.Fatalf("%s of %v:\nGo says   %v, %v\nRego says %v, %v", name, args, got, gotErr, want, wantErr)
	}
	return got
}

// someTexts are few, so that random values often meet.
var someTexts = []string{"*", "book", "film", "a", "ab", "a*", "ab*", "read", "edit", "", "allow", "deny", "book:1:read", "book:a*:*", "x:y:z:*", "ö", "a b", "**"}

// someValue returns any value of Rego, small ones more often.
func someValue(r *rand.Rand, depth int) *ast.Term {
	kind := r.IntN(9)
	if depth == 0 {
		kind %= 6
	}
	elements := func() []*ast.Term {
		all := make([]*ast.Term, r.IntN(4))
		for i := range all {
			all[i] = someValue(r, depth-1)
		}
		return all
	}
	switch kind {
	case 0:
		return ast.NullTerm()
	case 1:
		return ast.BooleanTerm(r.IntN(2) == 0)
	case 2:
		return ast.NumberTerm(json.Number([]string{"0", "1", "1.0", "1e0", "-0", "1e400", "10e399"}[r.IntN(7)]))
	case 6:
		return ast.ArrayTerm(elements()...)
	case 7:
		return ast.SetTerm(elements()...)
	case 8:
		var items [][2]*ast.Term
		for _, key := range elements() {
			items = append(items, ast.Item(key, someValue(r, depth-1)))
		}
		return ast.ObjectTerm(items...)
	}
	return ast.StringTerm(pick(r, someTexts))
}

// spoil replaces or removes parts of a value, each with the probability p.
func spoil(r *rand.Rand, term *ast.Term, p float64) *ast.Term {
	if r.Float64() < p {
		return someValue(r, 2)
	}
	switch value := term.Value.(type) {
	case *ast.Array:
		var elements []*ast.Term
		value.Foreach(func(element *ast.Term) { elements = append(elements, spoil(r, element, p)) })
		if r.Float64() < p {
			return ast.SetTerm(elements...)
		}
		return ast.ArrayTerm(elements...)
	case ast.Object:
		var items [][2]*ast.Term
		value.Foreach(func(key, member *ast.Term) {
			if r.Float64() >= p {
				items = append(items, ast.Item(key, spoil(r, member, p)))
			}
		})
		return ast.ObjectTerm(items...)
	}
	return term
}

// someArguments returns arguments of the usual form for a function.
func someArguments(r *rand.Rand, name string) *ast.Term {
	some := func(term func() *ast.Term) *ast.Term {
		terms := make([]*ast.Term, r.IntN(5))
		for i := range terms {
			terms[i] = term()
		}
		return ast.ArrayTerm(terms...)
	}
	aScope := func() *ast.Term { return scopeTerm(randomScope(r)) }
	aGrant := func() *ast.Term { return grantTerm(randomGrant(r, 0.5)) }
	switch name {
	case "parse":
		return ast.ArrayTerm(ast.StringTerm(pick(r, someTexts)))
	case "identifier_covers":
		return ast.ArrayTerm(ast.StringTerm(pick(r, someIdentifiers)), ast.StringTerm(pick(r, someIdentifiers)))
	case "covers", "overlaps":
		return ast.ArrayTerm(aScope(), aScope())
	case "grant_covers", "grant_overlaps":
		return ast.ArrayTerm(aGrant(), aScope())
	case "covered", "denied":
		return ast.ArrayTerm(some(aGrant), some(aScope))
	}
	resources := make(map[string]*Resource)
	for _, code := range picks(r, someResources) {
		resources[code] = &Resource{Actions: picks(r, someActions)}
	}
	term, _ := resourcesTerm(resources)
	return ast.ArrayTerm(term, some(aScope))
}

// TestNativesAgree holds the functions that Go computes against Rego, for arguments of every form.
func TestNativesAgree(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	pairs := nativePairs(t)
	for _, name := range nativeNames() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			answers := make(map[string]int)
			for i := range 3000 {
				args := someArguments(r, name)
				switch i % 4 {
				case 1, 2:
					args = spoil(r, args, []float64{0, 0.02, 0.1}[i%4])
				case 3:
					args = ast.ArrayTerm(someValue(r, 3), someValue(r, 3))
				}
				if answer := pairs[name].check(t, name, args); answer != nil {
					answers[answer.String()]++
				}
			}
			if len(answers) < 2 {
				t.Errorf("the answers are %v: nothing is shown", answers)
			}
		})
	}
}

// FuzzNativesAgree compares functions for JSON values, and for texts as parts of scopes and grants.
func FuzzNativesAgree(f *testing.F) {
	f.Add(`[{"resource":"book","identifier":"1","action":"read"},{"resource":"book","identifier":"*","action":"read"}]`, "book", "a*", "read")
	f.Add(`[{"resource":"book","identifiers":["a*"],"actions":["*"],"effect":"deny"},{"resource":"*"}]`, "*", "\xff", "")
	f.Add(`["book:1:read"]`, "a:b", "a:b*:c", ":")
	pairs := nativePairs(f)
	f.Fuzz(func(t *testing.T, args, resource, identifier, action string) {
		s := scope.Scope{Raw: args, Resource: resource, Identifier: identifier, Action: action}
		g := scope.Grant{Resource: action, Identifiers: []string{identifier, resource}, Actions: []string{action, resource}, Deny: len(args)%2 == 0}
		terms := []*ast.Term{
			ast.ArrayTerm(scopeTerm(s), scopeTerm(s)), ast.ArrayTerm(grantTerm(g), scopeTerm(s)), ast.ArrayTerm(ast.StringTerm(resource), ast.StringTerm(identifier)),
			ast.ArrayTerm(ast.ArrayTerm(grantTerm(g)), ast.ArrayTerm(scopeTerm(s))),
		}
		if value, err := ast.ValueFromReader(strings.NewReader(args)); err == nil {
			terms = append(terms, ast.NewTerm(value))
		}
		for _, name := range nativeNames() {
			for _, term := range terms {
				pairs[name].check(t, name, term)
			}
		}
	})
}

// TestNativesKnowTheInput: the parts of the input that are known are those that the rules pass on, so that no decision reads
// them again.
func TestNativesKnowTheInput(t *testing.T) {
	in := request(t, "book:1:read", "film:1:read")
	value, err := in.value()
	if err != nil {
		t.Fatal(err)
	}
	s := load(t, Config{Timeout: generous}).current.Load()
	seen := 0
	query := *s.prepared[tokenQuery]
	query.natives = make(map[string]*topdown.Builtin)
	for name, builtin := range nativeBuiltins() {
		query.natives[name] = &topdown.Builtin{Decl: builtin.Decl, Func: func(bctx topdown.BuiltinContext, args []*ast.Term, iter func(*ast.Term) error) error {
			known := bctx.Context.(*evalContext).known
			if array, ok := args[0].Value.(*ast.Array); ok && array != known.grants {
				t.Errorf("%s: the grants are not those of the client", name)
			}
			if args[1].Value.(*ast.Array) != known.asked {
				t.Errorf("%s: the scopes are not those of the request", name)
			}
			seen++
			return builtin.Func(bctx, args, iter)
		}}
	}
	if _, err := eval(&query, evaluation{input: ast.NewTerm(value), cancel: topdown.NewCancel(), known: in.known(value)}); err != nil || seen != 4 {
		t.Errorf("%d functions were called, %v", seen, err)
	}
}

// TestNativesCannotBeCalled: they have no name for authors, and neither have OPA's tools.
func TestNativesCannotBeCalled(t *testing.T) {
	for _, name := range nativeNames() {
		_, err := Load(Config{Paths: []string{write(t, map[string]string{"a.rego": "package m2m.token\ngranted contains \"a\" if " + nativeName(name) + "(input, input)\n"})}})
		wantParts(t, err, "undefined function "+nativeName(name))
	}
	if text, err := CapabilitiesJSON(); err != nil || strings.Contains(string(text), "m2m_") {
		t.Errorf("the capabilities have natives: %v", err)
	}
}

// TestReplacedFunctions: a policy that replaces a function of the library, or a builtin function that it uses, is answered
// as in Rego.
func TestReplacedFunctions(t *testing.T) {
	for _, test := range []struct {
		with   string
		native bool
	}{
		{"data.m2m.scope.covers as never", false},
		{"data.m2m.scope as {}", false},
		{"startswith as never", false},
		{"regex.match as never", false},
		{"time.now_ns as 1", true},
		{"input as {}", true},
		{"input.client.grants as []", true},
		{"data.config as {}", true},
		{"data.m2m.grants.denied as set()", true},
	} {
		t.Run(test.with, func(t *testing.T) {
			e := loadFiles(t, map[string]string{"a.rego": "package own\nimport data.m2m.scope\nnever(_, _) := false\n" +
				"outside := scope.covers(scope.parse(\"book\"), scope.parse(\"book:1:read\"))\ninside := value if value := outside with " + test.with + "\n",
				"b.rego": "package m2m.token\nclaims.never := data.own.never(1, 2)\nclaims.inside := data.own.inside\nclaims.outside := data.own.outside\n"})
			isNative := false
			for file, module := range e.current.Load().prepared[tokenQuery].compiler.Modules {
				isNative = isNative || strings.HasSuffix(file, "a.rego") && strings.Contains(fmt.Sprint(module), "m2m_scope_")
			}
			if isNative != test.native {
				t.Errorf("native: %v", isNative)
			}
			claims := decide(t, e, request(t, "book:1:read")).Claims
			if strings.Contains(test.with, "never") == (claims["inside"] == true) || claims["outside"] != true {
				t.Errorf("got %v", claims)
			}
		})
	}
}
