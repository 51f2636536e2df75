package policy

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// wantUse compares how often the cache gave a token decision.
func wantUse(t *testing.T, e *Engine, q *query, hits, misses, evaluated uint64) {
	t.Helper()
	u := e.uses[q]
	if h, m, v := u.hits.Load(), u.misses.Load(), u.evaluated.Load(); h != hits || m != misses || v != evaluated {
		t.Errorf("%d hits, %d misses, %d evaluated; want %d, %d, %d", h, m, v, hits, misses, evaluated)
	}
}

// TestHits: an equal request of the same version of a client and of the resources is not evaluated again.
func TestHits(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	in := request(t, "book:1:read", "book:1:edit")
	first := decide(t, e, in)
	for range 3 {
		if again := decide(t, e, in); !reflect.DeepEqual(first, again) {
			t.Errorf("the decision became %+v", again)
		}
	}
	wantUse(t, e, tokenQuery, 3, 1, 0)

	edited := in
	edited.Client = &Client{ID: in.Client.ID, AuthMethod: in.Client.AuthMethod, Grants: []scope.Grant{allow("book", "*", "*")}}
	if d := decide(t, e, edited); len(d.Granted) != 2 {
		t.Errorf("the edited client gets %s", summary(d))
	}
	wantUse(t, e, tokenQuery, 3, 2, 0)
	edited.Resources = map[string]*Resource{"book": {Actions: []string{"read"}}}
	if d := decide(t, e, edited); len(d.Granted) != 1 {
		t.Errorf("with the edited resource, it gets %s", summary(d))
	}
	edited.Resources = nil
	if d := decide(t, e, edited); len(d.Granted) != 0 {
		t.Errorf("without the resource, it gets %s", summary(d))
	}
	if n, _ := e.current.Load().cache.len(); n != 2 { // with and without the resource
		t.Errorf("the cache holds %d decisions", n)
	}
}

// TestAddressOfAClientWithoutNetworks: the shipped policy reads the address only for a client with networks. A rule of an author
// that reads it, or that reads what the shipped rules say, makes each address a question of its own.
func TestAddressOfAClientWithoutNetworks(t *testing.T) {
	for rule, hits := range map[string]uint64{
		"":                                       3,
		"ttl contains 60":                        3,
		"claims.n := count(input.client.grants)": 3,
		"claims.ip := input.request.remote_ip":   0,
		"claims.n := n if n := count(rejected) with input.client.networks as [\"192.0.2.0/31\"]": 0,
	} {
		e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n\n" + rule + "\n"})
		in := request(t, "book:1:read")
		decideFrom := func(ip string) {
			in.Request.RemoteIP = ip
			if d, want := decide(t, e, in), evaluated(t, e, in); !reflect.DeepEqual(d, want) {
				t.Errorf("%q: from %s the decision is %+v, an evaluation gives %+v", rule, ip, d, want)
			}
		}
		for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1"} {
			decideFrom(ip)
		}
		wantUse(t, e, tokenQuery, hits, 4-hits, 0)
		in.Client = &Client{ID: in.Client.ID, Grants: in.Client.Grants, Networks: []string{"192.0.2.0/31"}}
		for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"} {
			decideFrom(ip)
		}
		wantUse(t, e, tokenQuery, hits+2, 4-hits+2, 0)
	}
}

// TestHitOfAnEndedContext fails as the evaluation does.
func TestHitOfAnEndedContext(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	in := request(t, "book:1:read")
	decide(t, e, in)
	_, err := e.DecideToken(blocked(t), in)
	wantKind(t, err, Canceled)
}

// TestFailuresAreNotCached: a decision that failed is evaluated again.
func TestFailuresAreNotCached(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n\nttl contains input.client.attributes.ttl\n"})
	in := request(t, "book:1:read")
	in.Client = &Client{Attributes: map[string]any{"ttl": -1}}
	for range 2 {
		_, err := e.DecideToken(t.Context(), in)
		wantKind(t, err, WrongType)
	}
	wantUse(t, e, tokenQuery, 0, 2, 0)
	if n, _ := e.current.Load().cache.len(); n != 0 {
		t.Errorf("the cache holds %d decisions", n)
	}
	if failed := e.Status().Failed.Count; failed != 2 {
		t.Errorf("%d failures are counted", failed)
	}
}

// The bad input: policies that look as if they did not depend on what they depend on. Each is evaluated, or cached under all
// that it reads. differ are two requests whose decisions differ.
func TestHiddenReads(t *testing.T) {
	address := func(in *TokenInput) { in.Request.RemoteIP = "198.51.100.1" }
	for name, c := range map[string]struct {
		rule   string
		change func(*TokenInput)
	}{
		"with on input":           {`claims.x := v if v := data.lib.address with input.request.remote_ip as input.request.auth_method`, func(in *TokenInput) { in.Request.AuthMethod = "x" }},
		"with on all of input":    {`claims.x := v if v := data.lib.address with input as {"request": {"remote_ip": input.request.auth_method}}`, func(in *TokenInput) { in.Request.AuthMethod = "x" }},
		"with on data":            {`claims.x := v if v := data.settings.a with data.settings.a as input.request.remote_ip`, address},
		"with on a function":      {`claims.x := v if v := data.lib.same("x") with data.lib.same as data.lib.addressOf`, address},
		"a rule that walks input": {`claims.x := count([1 | walk(input, [_, "198.51.100.1"])])`, address},
		"a computed key":          {`claims.x := object.get(input.request, concat("_", ["remote", "ip"]), "")`, address},
		"a computed key of input": {`claims.x := object.get(input, ["request", data.settings.a], "")`, address},
		"json.marshal(input)":     {`claims.x := json.marshal(input)`, address},
		"an alias":                {`claims.x := v if { x := input; y := x.request; v := y.remote_ip }`, address},
		"a variable of data":      {`claims.x := [v | some name in data.settings.names; v := data.lib[name]]`, address},
		"the order of scopes":     {`claims.x := [s.raw | some s in input.scopes]`, func(in *TokenInput) { slices.Reverse(in.Scopes) }},
		"audiences":               {`claims.x := count(input.request.audience)`, func(in *TokenInput) { in.Request.Audience = append(slices.Clone(in.Request.Audience), "b") }},
		"the issuer":              {`claims.x := input.issuer`, func(in *TokenInput) { in.Issuer += "/other" }},
		"an else":                 {`claims.x := data.lib.otherwise`, address},
		"a default":               {`claims.x := data.lib.fallback`, address},
		"a negation":              {`claims.x := 1 if not input.request.remote_ip == "192.0.2.1"`, address},
		"the client, by a rule":   {`claims.x := data.lib.client.id`, func(in *TokenInput) { in.Client = &Client{ID: "other", Grants: in.Client.Grants} }},
	} {
		t.Run(name, func(t *testing.T) {
			e := loadFiles(t, map[string]string{
				"a.rego": "package m2m.token\n\n" + c.rule + "\n", "settings.json": `{"settings": {"a": "remote_ip", "names": ["address"], "never": false}}`,
				"lib.rego": strings.ReplaceAll(`package lib
LIB
address := input.request.remote_ip
LIB
same(x) := x
LIB
addressOf(_) := input.request.remote_ip
LIB
otherwise := 1 if data.settings.never
else := input.request.remote_ip
LIB
default fallback := [x | x := input.request.remote_ip]
LIB
client := input.client
`, "LIB", "\n# METADATA\n# custom: {library: true}"),
			})
			one := request(t, "book:1:read", "book:2:read")
			other := one
			other.Scopes = slices.Clone(one.Scopes)
			c.change(&other)
			for range 3 {
				for _, in := range []TokenInput{one, other} {
					d := decide(t, e, in)
					want := evaluated(t, e, in)
					if !reflect.DeepEqual(d, want) {
						t.Errorf("the decision is %+v, an evaluation gives %+v", d, want)
					}
				}
			}
			if d := decide(t, e, one); reflect.DeepEqual(d.Claims, decide(t, e, other).Claims) && len(d.Claims) > 0 {
				t.Errorf("both requests get %v", d.Claims)
			}
			wantUse(t, e, tokenQuery, 6, 2, 0)
		})
	}
}

// evaluated is a decision that does not come from the cache.
func evaluated(t *testing.T, e *Engine, in TokenInput) TokenDecision {
	t.Helper()
	s := e.current.Load()
	q, err := tokenQuestion(s, in)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ask(t.Context(), e, q, generous)
	if err != nil {
		t.Fatal(err)
	}
	return answer.decide(in.Scopes, s)
}

// TestImpureIsEvaluated: a decision that may reach a clock or randomness is evaluated each time.
func TestImpureIsEvaluated(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n\nclaims.id := uuid.rfc4122(input.client.id)\n"})
	in := request(t, "book:1:read")
	seen := make(map[any]bool)
	for range 3 {
		seen[decide(t, e, in).Claims["id"]] = true
	}
	if len(seen) != 3 {
		t.Errorf("the claims are %v", seen)
	}
	wantUse(t, e, tokenQuery, 0, 0, 3)
	for range 2 {
		if _, err := e.DefaultScopes(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	wantUse(t, e, defaultScopesQuery, 1, 1, 0)
}

// TestDataReplaced: another data file is another policy, for the next decision.
func TestDataReplaced(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package m2m.token\n\nclaims.x := data.x\n", "data.json": `{"x": 1}`})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	in := request(t, "book:1:read")
	old := e.current.Load()
	for n := 1; n < 4; n++ {
		put(t, filepath.Join(dir, "data.json"), fmt.Sprintf(`{"x": %d}`, n))
		if _, err := e.Reload(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if d := decide(t, e, in); d.Claims["x"] != json.Number(fmt.Sprint(n)) {
				t.Errorf("the claim is %v, want %d", d.Claims["x"], n)
			}
		}
	}
	if n, bytes := old.cache.len(); n != 0 || bytes != 0 {
		t.Errorf("the old policy still holds %d decisions", n)
	}
}

// TestSameClientInTwoIssuers: two clients with one id do not share decisions, even with one policy.
func TestSameClientInTwoIssuers(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	a := request(t, "book:1:read")
	b := a
	b.Issuer = "https://other.example.com"
	b.Client = &Client{ID: a.Client.ID}
	for range 3 {
		if d := decide(t, e, a); len(d.Granted) != 1 {
			t.Errorf("the first gets %s", summary(d))
		}
		if d := decide(t, e, b); len(d.Granted) != 0 {
			t.Errorf("the second gets %s", summary(d))
		}
	}
	wantUse(t, e, tokenQuery, 4, 2, 0)
}

// TestCloseFreesTheCache: a closed engine decides, and keeps nothing.
func TestCloseFreesTheCache(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	in := request(t, "book:1:read")
	decide(t, e, in)
	e.Close()
	for range 2 {
		if d := decide(t, e, in); len(d.Granted) != 1 {
			t.Errorf("it gets %s", summary(d))
		}
	}
	if n, bytes := e.current.Load().cache.len(); n != 0 || bytes != 0 {
		t.Errorf("it holds %d decisions of %d bytes", n, bytes)
	}
}

// TestCacheKeepsNoClient: the old version of a client is free for the garbage collector.
func TestCacheKeepsNoClient(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	in := request(t, "book:1:read")
	decide(t, e, in)
	freed := make(chan struct{})
	runtime.AddCleanup(in.Client, func(freed chan struct{}) { close(freed) }, freed)
	in = TokenInput{}
	for range 100 {
		runtime.GC()
		select {
		case <-freed:
			return
		default:
			runtime.Gosched()
		}
	}
	t.Error("the cache keeps the client in memory")
}

// TestCacheSharesNothingWithItsCallers: neither what a caller passed nor what it does with a slice changes the next decision.
func TestCacheSharesNothingWithItsCallers(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.token

claims.list := ["a", {"b": [input.client.id]}]
default_scopes contains "book:read"
`})
	in := request(t, "book:1:read", "book:1:edit", "film:1:read")
	want := evaluated(t, e, in)
	first := decide(t, e, in)
	first.Granted[0], first.Rejected[0].Reason = "changed", "changed"
	first.Claims["list"].([]any)[0] = "changed"
	second := decide(t, e, in)
	_ = append(second.Granted, "more")
	_ = append(second.Rejected, Rejection{"more", "more"})
	if third := decide(t, e, in); !reflect.DeepEqual(third, want) || cap(third.Granted) != len(third.Granted) {
		t.Errorf("the decision became %+v", third)
	}
	wantUse(t, e, tokenQuery, 2, 1, 0)
}

// raceDetector is whether this test binary has the race detector, which allocates.
var raceDetector bool

// TestHitsAllocateNothing: neither the key nor the decision is copied to the heap.
func TestHitsAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.request

denied contains {"reason": "x"} if input.request.headers["x-tenant"][0] != input.token.claims.tenant
denied contains {"reason": "y"} if input.request.path == ["admin"]
`})
	in, proxied := request(t, "book:1:read", "book:2:read"), proxied(t)
	for name, decide := range map[string]func() error{
		"token":   func() error { _, err := e.DecideToken(t.Context(), in); return err },
		"request": func() error { _, err := e.DecideRequest(t.Context(), proxied); return err },
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := decide(); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("a %s decision from the cache allocates %.0f times", name, n)
		}
	}
}
