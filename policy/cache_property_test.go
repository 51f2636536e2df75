package policy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// cachedTokenRules read the input and the data in every way in which a decision may depend on them.
var cachedTokenRules = []string{
	`rejected contains {"scope": s.raw, "reason": "address"} if { some s in input.scopes; input.request.remote_ip == "192.0.2.2" }`,
	`rejected contains {"scope": s.raw, "reason": input.request.auth_method} if { some s in input.scopes; s.action == "edit" }`,
	`rejected contains {"scope": s.raw, "reason": "level"} if { some s in input.scopes; input.client.attributes.level > 1 }`,
	`rejected contains {"scope": s.raw, "reason": reason} if { some s in input.scopes; reason := input.resources[s.resource].attributes.closed }`,
	`rejected contains {"scope": s.raw, "reason": data.settings.reason} if { some s in input.scopes; s.resource == data.settings.resource }`,
	`observed contains {"scope": s.raw, "reason": input.issuer} if { some s in input.scopes; s.identifier == "*" }`,
	`beyond_subject contains {"scope": s.raw, "reason": input.request.remote_ip} if { some s in input.scopes; s.action == "edit" }`,
	`granted contains s.raw if { some s in input.scopes; count(input.request.audience) == 2 }`,
	`granted contains s.raw if { some s in input.scopes; data.lib.address == "private_key_jwt" with input.request.remote_ip as input.request.auth_method }`,
	`granted contains s.raw if { some s in input.scopes; data.lib.address == "192.0.2.1" with input as {"request": {"remote_ip": input.request.audience[0]}} }`,
	`claims.walked := count([1 | walk(input, [_, "192.0.2.1"])])`,
	`claims.member := object.get(input, ["request", data.settings.member], "none")`,
	`claims.computed := object.get(input.request, concat("_", ["auth", "method"]), "none")`,
	`claims.text := crypto.sha256(json.marshal(input))`,
	`claims.alias := {"value": value} if { x := input; y := x.request; value := y.remote_ip }`,
	`claims.function := data.lib.third(input.request.audience)`,
	`claims.whole := data.lib.method(input)`,
	`claims.dynamic := [value | some name in data.settings.names; value := data.lib.values[name]]`,
	`claims.package := {name: value | some name in data.settings.names; value := data.lib[name]}`,
	`claims.chosen := data.lib.chosen`,
	`claims.keys := [key | some key, _ in input.request; key != data.settings.member]`,
	`claims[name] := value if { some name, value in input.client.attributes; startswith(name, "x_") }`,
	`claims.formatted := $"{input.request.remote_ip} {input.client.id}"`,
	`claims.description := input.client.description`,
	`claims.networks := input.client.networks`,
	`claims.method := input.client.auth_method`,
	`rejected contains {"scope": s.raw, "reason": "by key alone"} if { some s in input.scopes; input.client.auth_method != "private_key_jwt" }`,
	`granted contains s.raw if { some s in input.scopes; input.subject.claims.environment == "production" }`,
	`rejected contains {"scope": s.raw, "reason": "acted for"} if { some s in input.scopes; input.actor; not input.actor.client_id == input.client.id }`,
	`claims.subject := input.subject.subject`,
	`claims.direct := true if not input.subject`,
	`default_scopes contains "book:edit" if input.subject.client_id`,
	`claims.rejected := count(rejected) if count(input.scopes) > 1`,
	`ttl contains data.settings.ttl`,
	`ttl contains 60 if input.request.auth_method == "private_key_jwt"`,
	`ttl contains input.client.attributes.ttl`,
	`default_scopes contains "book:read" if input.request.remote_ip == "192.0.2.1"`,
	`default_scopes contains data.settings.default_scope if input.client.attributes.level < 3`,
	`default_scopes contains concat(":", ["film", input.request.audience[_]])`,
}

// impureTokenRules make a policy one whose decisions are not cached.
var impureTokenRules = []string{
	`claims.now := time.now_ns()`,
	`ttl contains 30 if time.now_ns() % 2 == 0`,
	`rejected contains {"scope": s.raw, "reason": "odd"} if { some s in input.scopes; data.lib.odd }`,
}

const cachedLibrary = `package lib

# METADATA
# custom: {library: true}
address := input.request.remote_ip

# METADATA
# custom: {library: true}
third(x) := x[2]

third(x) := concat(",", x) if count(x) < 3

# METADATA
# custom: {library: true}
method(x) := x.request.auth_method

# METADATA
# custom: {library: true}
values[name] := value if some name, value in input.request

# METADATA
# custom: {library: true}
chosen := input.request.remote_ip if data.settings.ttl > 100
else := input.request.auth_method if data.settings.ttl > 50
else := input.client.id

# METADATA
# custom: {library: true}
first := input.request.audience[0]
`

const oddLibrary = `
# METADATA
# custom: {library: true}
odd if time.now_ns() % 2 == 1
`

// world is a policy with its registry, which changes, and the requests that come.
type world struct {
	*testing.T
	r         *rand.Rand
	dir       string
	engine    *Engine
	clients   map[string]*Client // by issuer and id
	resources map[string]*Resource
	past      []TokenInput   // some requests, which come again
	doors     []RequestInput // like past
	dealt     []string       // rules that are still to be in a policy
	hits      map[string]int // by kind
}

// TestCacheAgrees: whatever a policy reads, and whatever changes, a decision from the cache is the one that an evaluation gives.
func TestCacheAgrees(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := &world{T: t, r: rand.New(rand.NewPCG(seed, 1)), hits: make(map[string]int)}
	impure := 0
	const policies = 12
	for range policies {
		w.begin()
		if w.engine.current.Load().depends[tokenQuery].varies != nil {
			impure++
		}
		for range 200 {
			w.edit()
			w.decide()
		}
		w.engine.Close()
	}
	t.Logf("hits: %v; %d of %d policies are impure", w.hits, impure, policies)
	if w.hits[TokenKind] < 50 || w.hits[DefaultScopesKind] < 50 {
		t.Errorf("only %v decisions came from the cache", w.hits)
	}
}

func (w *world) begin() {
	w.dir = w.TempDir()
	w.writeData()
	w.writePolicy()
	e, err := Load(Config{Paths: []string{w.dir}, Timeout: generous})
	if err != nil {
		w.Fatal(err)
	}
	w.engine = e
	w.clients, w.resources = make(map[string]*Client), make(map[string]*Resource)
	for _, issuer := range someIssuers {
		for _, id := range someClients {
			w.setClient(issuer, id)
		}
	}
	for _, code := range []string{"book", "film"} {
		w.resources[code] = w.resource()
	}
}

var (
	someIssuers = []string{"https://a.example.com", "https://b.example.com"}
	someClients = []string{"one", "two"}
	someMethods = []string{"client_secret_basic", "private_key_jwt"}
)

func (w *world) client(id string) *Client {
	c := &Client{
		ID: id, Description: pick(w.r, []string{"", "first", "second"}), Networks: picks(w.r, []string{"192.0.2.0/31", "198.51.100.0/24"}),
		Attributes: map[string]any{"level": w.r.IntN(4), "ttl": 30 + w.r.IntN(3), "x_" + pick(w.r, []string{"a", "b"}): w.r.IntN(2)},
	}
	for range w.r.IntN(4) {
		c.Grants = append(c.Grants, randomGrant(w.r, 0.2))
	}
	return c
}

func (w *world) resource() *Resource {
	r := &Resource{Actions: picks(w.r, []string{"read", "edit"}), Audience: pick(w.r, []string{"https://x", "https://y"}), Attributes: map[string]any{}}
	if w.r.IntN(3) == 0 {
		r.Attributes["closed"] = pick(w.r, []string{"today", "always"})
	}
	return r
}

// writePolicy writes a random policy. It has at most one rule for each claim, so that there are no conflicts.
func (w *world) writePolicy() {
	rules := []string{"package m2m.token\n"}
	rules = append(rules, w.deal(cachedTokenRules, 2+w.r.IntN(7))...)
	library := cachedLibrary
	if w.r.IntN(6) == 0 {
		rules = append(rules, pick(w.r, impureTokenRules))
		library += oddLibrary
	}
	put(w, filepath.Join(w.dir, "lib.rego"), library)
	put(w, filepath.Join(w.dir, "rules.rego"), strings.Join(rules, "\n")+"\n")
}

// deal returns some of all rules, in turn, so that each is in some policy.
func (w *world) deal(all []string, n int) []string {
	var rules []string
	for range n {
		if len(w.dealt) == 0 {
			w.dealt = slices.Clone(all)
			w.r.Shuffle(len(all), func(i, j int) { w.dealt[i], w.dealt[j] = w.dealt[j], w.dealt[i] })
		}
		if rule := w.dealt[0]; !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
		w.dealt = w.dealt[1:]
	}
	return rules
}

func (w *world) writeData() {
	put(w, filepath.Join(w.dir, "settings", "data.yaml"), fmt.Sprintf(
		"settings: {reason: %q, resource: %q, member: %q, ttl: %d, default_scope: %q, names: [%q, %q]}\n",
		pick(w.r, []string{"closed", "moved"}), pick(w.r, someResources), pick(w.r, []string{"remote_ip", "auth_method"}), 40+w.r.IntN(80),
		pick(w.r, []string{"book:read", "film:edit"}), pick(w.r, []string{"remote_ip", "auth_method"}), pick(w.r, []string{"first", "address"})))
}

// edit changes something now and then.
func (w *world) edit() {
	switch w.r.IntN(80) {
	case 0:
		w.writePolicy()
	case 1:
		w.writeData()
	case 2, 3:
		id := pick(w.r, someClients)
		w.setClient(pick(w.r, someIssuers), id)
		return
	case 4, 5:
		w.resources[pick(w.r, []string{"book", "film"})] = w.resource()
		return
	default:
		return
	}
	if _, err := w.engine.Reload(); err != nil {
		w.Fatal(err)
	}
}

// decide decides on a request, and compares the decision with an evaluation.
func (w *world) decide() {
	in := w.request()
	s := w.engine.current.Load()
	if len(in.Scopes) == 0 {
		q, err := defaultScopesQuestion(s, in)
		check(w, DefaultScopesKind, q, err, func() ([]string, error) { return w.engine.DefaultScopes(w.Context(), in) }, func(d []string) []string { return d })
		return
	}
	q, err := tokenQuestion(s, in)
	check(w, TokenKind, q, err, func() (TokenDecision, error) { return w.engine.DecideToken(w.Context(), in) },
		func(a tokenAnswer) TokenDecision { return a.decide(in.Scopes, s) })
}

// clientOf returns the version of a client for a request: there is one for each method.
func (w *world) clientOf(in TokenInput) *Client {
	return w.clients[in.Issuer+in.Client.ID+in.Request.AuthMethod]
}

// setClient puts a new version of a client in force.
func (w *world) setClient(issuer, id string) {
	c := w.client(id)
	for _, method := range someMethods {
		w.clients[issuer+id+method] = &Client{
			ID: id, AuthMethod: method, Description: c.Description, Networks: c.Networks, Attributes: c.Attributes, Grants: c.Grants,
		}
	}
}

// request is a new request, or one that came before with one part of a new one, of the client and the resources as they are
// now.
func (w *world) request() TokenInput {
	in := w.newRequest()
	if len(w.past) > 0 && w.r.IntN(8) > 0 {
		other := in
		in = w.past[w.r.IntN(len(w.past))]
		change(w.r, &in.Issuer, other.Issuer)
		change(w.r, &in.Client, other.Client)
		change(w.r, &in.Scopes, other.Scopes)
		change(w.r, &in.Request.RemoteIP, other.Request.RemoteIP)
		change(w.r, &in.Request.AuthMethod, other.Request.AuthMethod)
		change(w.r, &in.Request.Audience, other.Request.Audience)
		change(w.r, &in.Subject, other.Subject)
		change(w.r, &in.Actor, other.Actor)
	}
	w.past = append(w.past[max(0, len(w.past)-5):], in)
	in.Client, in.Resources = w.clientOf(in), make(map[string]*Resource)
	for _, s := range in.Scopes {
		if r := w.resources[s.Resource]; r != nil {
			in.Resources[s.Resource] = r
		}
	}
	in.Time = time.Unix(0, w.r.Int64N(4)+1)
	return in
}

// change changes one part in six.
func change[T any](r *rand.Rand, to *T, from T) {
	if r.IntN(6) == 0 {
		*to = from
	}
}

// party is nil for most requests, as in a token exchange with or without an actor.
func (w *world) party() *Party {
	if w.r.IntN(4) > 0 {
		return nil
	}
	return &Party{
		Issuer: pick(w.r, someIssuers), Subject: pick(w.r, []string{"a", "b"}), ClientID: pick(w.r, someClients),
		Claims: map[string]any{"environment": pick(w.r, []string{"production", "staging"})},
	}
}

func (w *world) newRequest() TokenInput {
	issuer := pick(w.r, someIssuers)
	in := TokenInput{
		Issuer: issuer, Client: &Client{ID: pick(w.r, someClients)}, Subject: w.party(), Actor: w.party(),
		Request: TokenRequest{
			RemoteIP:   pick(w.r, []string{"192.0.2.1", "192.0.2.2"}),
			AuthMethod: pick(w.r, someMethods),
			Audience:   [][]string{nil, {"192.0.2.1", "read"}}[w.r.IntN(2)],
		},
	}
	for _, raw := range [][]string{nil, {"book:a:read"}, {"book:a:edit", "film:*:read"}, {"film:*:read", "book:a:edit"}, {"*"}}[w.r.IntN(5)] {
		s, err := scope.Parse(raw)
		if err != nil {
			w.Fatal(err)
		}
		in.Scopes = append(in.Scopes, s)
	}
	return in
}

// check compares a decision with what a full evaluation gives, in every field.
func check[A, D any](w *world, kind string, q question[A], err error, decide func() (D, error), complete func(A) D) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	hits := w.engine.uses[q.query].hits.Load()
	got, err := decide()
	hit := w.engine.uses[q.query].hits.Load() > hits
	answer, wantErr := ask(w.Context(), w.engine, q, generous)
	if err != nil || wantErr != nil {
		if hit || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			w.Fatalf("%s decision fails with %v, an evaluation with %v", kind, err, wantErr)
		}
		return
	}
	if hit {
		w.hits[kind]++
		if varies := q.snapshot.depends[q.query].varies; varies != nil {
			w.Fatalf("a decision came from the cache, and %s", varies)
		}
	}
	if want := complete(answer); !reflect.DeepEqual(got, want) {
		rules, _ := os.ReadFile(filepath.Join(w.dir, "rules.rego"))
		w.Fatalf("%s decision (from the cache: %t)\n got %+v\nwant %+v\nof %v\nwith\n%s", kind, hit, got, want, q.input, rules)
	}
}
