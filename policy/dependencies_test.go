package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestEveryBuiltinIsJudged: a function that a new version of OPA brings is in one of the two lists before policies have it.
func TestEveryBuiltinIsJudged(t *testing.T) {
	known := make(map[string]bool)
	for _, builtin := range capabilities().Builtins {
		known[builtin.Name] = true
		_, isImpure := impure[builtin.Name]
		if pure[builtin.Name] == isImpure {
			t.Errorf("%s is to be in one of the lists pure and impure: does it read a clock, randomness or anything outside of its arguments?", builtin.Name)
		}
		if pure[builtin.Name] && builtin.Nondeterministic {
			t.Errorf("%s is in the list pure, and OPA calls it nondeterministic", builtin.Name)
		}
	}
	for name := range impure {
		if !known[name] {
			t.Errorf("there is no function %s", name)
		}
	}
	for name := range pure {
		if !known[name] {
			t.Errorf("there is no function %s", name)
		}
	}
}

// libraryFile is a package of an author's own, which rules of a contract may use.
const libraryFile = `package lib

import data.settings

# METADATA
# custom: {library: true}
whole(x) := json.marshal(x)

# METADATA
# custom: {library: true}
now := time.now_ns()

# METADATA
# custom: {library: true}
tenant := input.token.claims.tenant

# METADATA
# custom: {library: true}
by_name[name] := value if some name, value in input.request.headers

# METADATA
# custom: {library: true}
chosen := input.request.method if settings.strict else := input.request.host if settings.loose else := input.token.subject

# METADATA
# custom: {library: true}
default fallback := [x | x := input.request.remote_ip]

# METADATA
# custom: {library: true}
answer(_) := 42
`

// TestReads lists what rules may read of the input, in every form in which Rego can hide it.
func TestReads(t *testing.T) {
	for rule, want := range map[string]string{
		`denied contains {"reason": "x"} if input.request.method == "GET"`:                                         "input.request.method",
		`denied contains {"reason": "x"} if input["request"]["method"] == "GET"`:                                   "input.request.method",
		`denied contains {"reason": "x"} if input.request.path[1] == "x"`:                                          "input.request.path[1]",
		`denied contains {"reason": "x"} if count(input.request.path) > 9`:                                         "input.request.path",
		`denied contains {"reason": "x"} if input.request.path == ["a", input.token.client_id]`:                    "input.request.path input.token.client_id",
		`denied contains {"reason": input.token.subject} if true`:                                                  "input.token.subject",
		`denied contains {"reason": "x"} if input.request.headers["x-a"][0] == "1"`:                                `input.request.headers["x-a"][0]`,
		`denied contains {"reason": "x"} if input.request.headers[input.token.claims.h]`:                           "input.request.headers input.token.claims.h",
		`denied contains {"reason": "x"} if { some name; input.token.claims[name] == 1 }`:                          "input.token.claims",
		`denied contains {"reason": "x"} if { x := input; x.request.method == "GET" }`:                             "input",
		`denied contains {"reason": "x"} if { x := input.request; y := x; y.method == "GET" }`:                     "input.request",
		`denied contains {"reason": "x"} if { some name in ["request"]; input[name].method == "GET" }`:             "input",
		`denied contains {"reason": "x"} if { walk(input, [_, value]); value == "secret" }`:                        "input",
		`denied contains {"reason": "x"} if { walk(input.request, [_, value]); value == "secret" }`:                "input.request",
		`denied contains {"reason": "x"} if object.get(input, ["request", "method"], "") == "GET"`:                 "input",
		`denied contains {"reason": "x"} if object.get(input.token.claims, sprintf("%s", ["a"]), 0) == 1`:          "input.token.claims",
		`denied contains {"reason": "x"} if json.marshal(input) == "{}"`:                                           "input",
		`denied contains {"reason": "x"} if data.lib.whole(input.request.method) == "x"`:                           "input.request.method",
		`denied contains {"reason": "x"} if data.lib.whole(input) == "x"`:                                          "input",
		`denied contains {"reason": "x"} if data.lib.tenant == "x"`:                                                "input.token.claims.tenant",
		`denied contains {"reason": "x"} if data.lib.tenant == "x" with input as {"token": input.request}`:         "input.request input.token.claims.tenant",
		`denied contains {"reason": "x"} if data.lib.tenant == "x" with input.token.claims as input.request.route`: "input.request.route input.token.claims",
		`denied contains {"reason": "x"} if data.lib.answer(1) == 42 with data.lib.answer as data.lib.whole`:       "",
		`denied contains {"reason": "x"} if data.lib.by_name["x-a"] == ["1"]`:                                      "input.request.headers",
		`denied contains {"reason": "x"} if data.lib.chosen == "x"`:                                                "input.request.host input.request.method input.token.subject",
		`denied contains {"reason": "x"} if data.lib.fallback == ["x"]`:                                            "input.request.remote_ip",
		`denied contains {"reason": "x"} if { some name in ["tenant", "chosen"]; data.settings.rules[name] }`:      "",
		`denied contains {"reason": "x"} if { every x in input.token.scopes { x.action == "read" } }`:              "input.token.scopes",
		`denied contains {"reason": "x"} if not input.token.claims.ok`:                                             "input.token.claims.ok",
		`denied contains {"reason": "x"} if { some x in {y | y := input.request.host}; x == "a" }`:                 "input.request.host",
		`required contains input.token.claims.scope if true`:                                                       "input.token.claims.scope",
		`headers[input.request.method] := input.issuer if true`:                                                    "input.issuer input.request.method",
		`observed contains {"reason": concat("", [input.request.route.parameters.id])} if true`:                    "input.request.route.parameters.id",
		`denied contains {"reason": $"{input.request.host}"} if true`:                                              "input.request.host",
		`denied contains {"reason": "x"} if input.issuer in data.settings.issuers`:                                 "input.issuer",
		`denied contains {"reason": "x"} if true`:                                                                  "",
	} {
		t.Run(rule, func(t *testing.T) {
			s := compiled(t, "package m2m.request\n\n"+rule+"\n")
			d := s.depends[requestQuery]
			if got := strings.Join(d.input.list("input"), " "); got != want {
				t.Errorf("reads %q, want %q", got, want)
			}
			if d.varies != nil {
				t.Errorf("is impure: %s", d.varies)
			}
		})
	}
}

// compiled returns the snapshot of a policy with this file and the library.
func compiled(t *testing.T, file string) *snapshot {
	t.Helper()
	return loadFiles(t, map[string]string{
		"rules.rego": file, "lib.rego": libraryFile, "settings/data.json": `{"settings": {"strict": true, "loose": true, "issuers": [], "rules": {}}}`,
	}).current.Load()
}

// TestReadsEveryRuleThatARefReaches: a reference with a variable reaches all rules below it.
func TestReadsEveryRuleThatARefReaches(t *testing.T) {
	s := compiled(t, `package m2m.request

denied contains {"reason": "x"} if { some name in ["tenant", "chosen"]; data.lib[name] == "x" }
`)
	d := s.depends[requestQuery]
	for _, want := range []string{"input.token.claims.tenant", "input.request.host", "input.request.headers", "input.request.remote_ip"} {
		if !slices.Contains(d.input.list("input"), want) {
			t.Errorf("%s is not among what is read: %q", want, d.input.list("input"))
		}
	}
	if d.varies == nil || !strings.Contains(d.varies.String(), "lib.rego:11: rule lib.now calls time.now_ns") {
		t.Errorf("the impure call is %v", d.varies)
	}
}

// TestImpure names the first impure call that a decision may reach.
func TestImpure(t *testing.T) {
	for rule, want := range map[string]string{
		`rejected contains {"scope": s.raw, "reason": "x"} if { some s in input.scopes; time.now_ns() > 5 }`: "rules.rego:3: rule m2m.token.rejected calls time.now_ns",
		`claims.id := uuid.rfc4122("x")`: "rules.rego:3: rule m2m.token.claims calls uuid.rfc4122",
		`claims.n := rand.intn("x", 9)`:  "rules.rego:3: rule m2m.token.claims calls rand.intn",
		`ttl contains 60 if { [valid, _, _] := io.jwt.decode_verify("x", {"secret": "x"}); valid }`: "rules.rego:3: rule m2m.token.ttl calls io.jwt.decode_verify",
		`ttl contains 60 if data.lib.now > 5`:                                                       "lib.rego:11: rule lib.now calls time.now_ns",
		`ttl contains 60 if data.lib.answer(1) == 5 with data.lib.answer as time.now_ns`:            "",
		`ttl contains 60 if count([1]) == 5 with count as time.now_ns`:                              "",
		`ttl contains 60 if time.now_ns() == 5 with time.now_ns as 5`:                               "rules.rego:3: rule m2m.token.ttl calls time.now_ns",
		"ttl contains 60 if {\n\tx := 5\n\tx < time.now_ns()\n}\n\nclaims.n := rand.intn(\"x\", 9)": "rules.rego:5: rule m2m.token.ttl calls time.now_ns",
		"claims.a := 1 if true\n\nclaims.b := 1 if { false } else := time.now_ns() if { true }":     "rules.rego:5: rule m2m.token.claims calls time.now_ns",
	} {
		t.Run(rule, func(t *testing.T) {
			e, err := Load(Config{Paths: []string{write(t, map[string]string{"rules.rego": "package m2m.token\n\n" + rule + "\n", "lib.rego": libraryFile})}})
			if err != nil {
				if want == "" {
					return // OPA refuses it
				}
				t.Fatal(err)
			}
			defer e.Close()
			got := fmt.Sprint(e.current.Load().depends[tokenQuery].varies)
			if !strings.HasSuffix(got, want) || want == "" {
				t.Errorf("got %q, want %q", got, want)
			}
			if varies := e.current.Load().depends[defaultScopesQuery].varies; varies != nil {
				t.Errorf("default scopes are impure: %s", varies)
			}
		})
	}
}

// TestShippedPolicyIsPure: what ships never keeps a decision from being cached, and reads of a request no more than it has to.
func TestShippedPolicyIsPure(t *testing.T) {
	s := load(t, Config{}).current.Load()
	for _, q := range cachedQueries {
		if varies := s.depends[q].varies; varies != nil {
			t.Errorf("%s decisions are impure: %s", q.kind, varies)
		}
	}
	library := loadFiles(t, map[string]string{"a.rego": `package m2m.token

import data.m2m.grants
import data.m2m.scope

claims.covered := grants.covered
claims.denied := grants.denied
claims.unknown := grants.unknown_resource | grants.unknown_action
claims.scopes := [scope.parse(s.raw) | some s in input.scopes; scope.covers(s, s); scope.overlaps(s, s)]
claims.grants := [g | some g in input.client.grants; some s in input.scopes; scope.grant_covers(g, s); scope.grant_overlaps(g, s)]
`}).current.Load()
	for _, policy := range []*snapshot{s, library} {
		d := policy.depends[tokenQuery]
		if d.varies != nil {
			t.Errorf("the libraries are impure: %s", d.varies)
		}
		if got := d.input.at("request").list("request"); !slices.Equal(got, []string{"request.remote_ip"}) {
			t.Errorf("the shipped rules read %q of the request", got)
		}
	}
}
