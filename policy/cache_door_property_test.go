package policy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cachedRequestRules are those of doors.
var cachedRequestRules = []string{
	`denied contains {"reason": "method"} if input.request.method == "PUT"`,
	`denied contains {"reason": "host"} if input.request.host != data.settings.host`,
	`denied contains {"reason": "path"} if input.request.path[1] == "2"`,
	`denied contains {"reason": "long path"} if count(input.request.path) > 2`,
	`denied contains {"reason": "subject"} if input.token.subject == "two"`,
	`denied contains {"reason": "header"} if input.request.headers["x-a"][_] == "2"`,
	`denied contains {"reason": "second header"} if input.request.headers["x-b"][1]`,
	`denied contains {"reason": "claim"} if input.token.claims.level > 1`,
	`denied contains {"reason": "no claim"} if not input.token.claims.team`,
	`denied contains {"reason": "with"} if data.lib.tenant == "1" with input.token.claims.tenant as input.request.route.parameters.id`,
	`observed contains {"reason": input.request.remote_ip} if true`,
	`observed contains {"reason": input.request.route.pattern} if input.request.method == "GET"`,
	`required contains "film:read" if some s in input.token.scopes`,
	`required contains concat(":", ["book", input.request.route.parameters.id, "read"]) if true`,
	`headers["x-id"] := input.token.client_id`,
	`headers["x-issuer"] := input.issuer`,
	`headers["x-all"] := crypto.md5(json.marshal(input))`,
	`headers["x-claims"] := json.marshal(input.token.claims)`,
	`headers["x-member"] := crypto.md5(json.marshal(object.get(input.request, data.settings.member, "")))`,
	`headers["x-walk"] := format_int(count([1 | walk(input.request, [_, "2"])]), 10)`,
	`headers["x-alias"] := value if { x := input; value := x.request.method }`,
	`headers["x-tenant"] := data.lib.tenant`,
	`headers["x-nested"] := json.marshal(input.token.claims.nested.list[0])`,
	`headers["x-count"] := format_int(count(input.request.headers), 10)`,
}

// TestCacheAgreesAtDoors is TestCacheAgrees for decisions on proxied requests.
func TestCacheAgreesAtDoors(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := &world{T: t, r: rand.New(rand.NewPCG(seed, 2)), hits: make(map[string]int)}
	for range 12 {
		w.dir = w.TempDir()
		w.writeDoor()
		e, err := Load(Config{Paths: []string{w.dir}, Timeout: generous})
		if err != nil {
			t.Fatal(err)
		}
		w.engine = e
		for range 200 {
			if w.r.IntN(60) == 0 {
				w.writeDoor()
				if _, err := e.Reload(); err != nil {
					t.Fatal(err)
				}
			}
			in, s := w.proxied(), e.current.Load()
			q, err := requestQuestion(s, in)
			check(w, RequestKind, q, err, func() (RequestDecision, error) { return e.DecideRequest(t.Context(), in) }, func(d RequestDecision) RequestDecision {
				d.Revision, d.from = s.revision, s
				return d
			})
		}
		e.Close()
	}
	t.Logf("hits: %v", w.hits)
	if w.hits[RequestKind] < 300 {
		t.Errorf("only %v decisions came from the cache", w.hits)
	}
}

func (w *world) writeDoor() {
	rules := []string{"package m2m.request\n", `observed contains {"reason": "seen"} if input.request.method == "HEAD"`}
	rules = append(rules, w.deal(cachedRequestRules, 2+w.r.IntN(3))...)
	put(w, filepath.Join(w.dir, "rules.rego"), strings.Join(rules, "\n")+"\n")
	put(w, filepath.Join(w.dir, "lib.rego"), "package lib\n\n# METADATA\n# custom: {library: true}\ntenant := input.token.claims.tenant\n")
	put(w, filepath.Join(w.dir, "settings", "data.yaml"), fmt.Sprintf("settings: {host: %q, member: %q}\n",
		pick(w.r, []string{"a", "b"}), pick(w.r, []string{"path", "method", "headers"})))
}

func (w *world) proxied() RequestInput {
	in := w.newProxied()
	if len(w.doors) > 0 && w.r.IntN(8) > 0 {
		other := in
		in = w.doors[w.r.IntN(len(w.doors))]
		change(w.r, &in.Issuer, other.Issuer)
		change(w.r, &in.Request.Method, other.Request.Method)
		change(w.r, &in.Request.Host, other.Request.Host)
		change(w.r, &in.Request.RemoteIP, other.Request.RemoteIP)
		change(w.r, &in.Request.Route.Pattern, other.Request.Route.Pattern)
		change(w.r, &in.Token.ClientID, other.Token.ClientID)
		change(w.r, &in.Token.Subject, other.Token.Subject)
		change(w.r, &in.Request.Path, other.Request.Path)
		change(w.r, &in.Request.Route.Parameters, other.Request.Route.Parameters)
		change(w.r, &in.Request.Headers, other.Request.Headers)
		change(w.r, &in.Token.Scopes, other.Token.Scopes)
		change(w.r, &in.Token.Claims, other.Token.Claims)
	}
	w.doors = append(w.doors[max(0, len(w.doors)-5):], in)
	in.Time = time.Unix(0, w.r.Int64N(9)+1)
	return in
}

func (w *world) newProxied() RequestInput {
	few := []string{"1", "2"}
	claims := map[string]any{"level": []any{1, 2.0, "1"}[w.r.IntN(3)], "nested": map[string]any{"list": []any{pick(w.r, few), nil, true}}}
	for _, name := range []string{"team", "tenant"} {
		if w.r.IntN(2) == 0 {
			claims[name] = pick(w.r, few)
		}
	}
	in := RequestInput{
		Issuer: pick(w.r, someIssuers),
		Request: ProxiedRequest{
			Method: pick(w.r, []string{"GET", "PUT"}), Host: pick(w.r, []string{"a", "b"}), RemoteIP: pick(w.r, few),
			Path:    [][]string{nil, {"books"}, {"books", "1"}, {"books", "2"}, {"books", "2", ""}}[w.r.IntN(5)],
			Route:   Route{Pattern: pick(w.r, []string{"", "GET /books/{id}"})},
			Headers: []map[string][]string{nil, {"x-a": {"1"}}, {"x-a": {"1", "2"}}, {"x-b": {"1", "2"}}, {"x-b": {"12"}}}[w.r.IntN(5)],
		},
		Token: Token{ClientID: pick(w.r, someClients), Subject: pick(w.r, someClients), Claims: claims},
	}
	if w.r.IntN(2) == 0 {
		in.Request.Route.Parameters = map[string]string{"id": pick(w.r, few)}
	}
	in.Token.Scopes = parse(w, [][]string{nil, {"book:read"}, {"book:read", "film"}}[w.r.IntN(3)]...)
	in.Request.Headers = maps.Clone(in.Request.Headers)
	return in
}
