package replay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/replay"
)

const generous = 20 * time.Second

// candidate is a policy of one file beside the rules that ship.
func candidate(tb testing.TB, rego string) *policy.Engine {
	tb.Helper()
	cfg := policy.Config{Timeout: generous}
	if rego != "" {
		file := filepath.Join(tb.TempDir(), "candidate.rego")
		if err := os.WriteFile(file, []byte(rego), 0o600); err != nil {
			tb.Fatal(err)
		}
		cfg.Paths = []string{file}
	}
	engine, err := policy.Load(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(engine.Close)
	return engine
}

func run(tb testing.TB, engine *policy.Engine, lines ...string) *replay.Report {
	tb.Helper()
	report, err := replay.Run(tb.Context(), replay.Config{Policy: engine, CheckClaims: noReserved}, replay.Log{Name: "log", Reader: strings.NewReader(strings.Join(lines, "\n"))})
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

func noReserved(claims map[string]any) error {
	if claims["iss"] != nil {
		return errors.New("iss is reserved")
	}
	return nil
}

// token is a decision on two scopes, of which the client may have one. Edits are pairs of what is
// replaced in it.
func token(tb testing.TB, edits ...string) string {
	return edited(tb, `{"level":"info","ts":1,"logger":"m2m.decisions","msg":"token decision","decision_id":"D1","path":"m2m/token","labels":{"issuer":"https://auth.example.com"},`+
		`"timestamp":"2026-03-04T05:06:07.123456789Z","revision":"r1","requested_by":"192.0.2.1","client_id":"ci-bot",`+
		`"input":{"issuer":"https://auth.example.com","client":{"id":"ci-bot","description":"","attributes":{"team":"catalogue"},"audiences":[],"networks":[],`+
		`"grants":[{"resource":"book","identifiers":["*"],"actions":["read"],"effect":"allow"}]},`+
		`"scopes":[{"raw":"book:1:read","resource":"book","identifier":"1","action":"read"},{"raw":"book:1:edit","resource":"book","identifier":"1","action":"edit"}],`+
		`"resources":{"book":{"actions":["edit","read"],"audience":"https://api.example.com","attributes":{}}},`+
		`"request":{"remote_ip":"192.0.2.1","auth_method":"client_secret_basic","audience":[]}},`+
		`"result":{"granted":["book:1:read"],"rejected":[{"scope":"book:1:edit","reason":"no grant covers it"}]},"jti":"J1","metrics":{"timer_server_handler_ns":1}}`, edits)
}

// request is a decision that let a request through.
func request(tb testing.TB, edits ...string) string {
	return edited(tb, `{"decision_id":"D1","path":"m2m/request","timestamp":"2026-03-04T05:06:07Z",`+
		`"input":{"issuer":"https://auth.example.com","request":{"method":"PUT","host":"api.example.com","path":["books","1"],"route":{"pattern":"PUT /books/{id}","parameters":{"id":"1"}},`+
		`"remote_ip":"192.0.2.1","headers":{}},"token":{"client_id":"ci-bot","subject":"ci-bot","scopes":[{"raw":"book:edit","resource":"book","identifier":"*","action":"edit"}],"claims":{}}},`+
		`"result":{"denied":[],"required":[],"headers":{}}}`, edits)
}

func edited(tb testing.TB, line string, edits []string) string {
	tb.Helper()
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(line, edits[i]) {
			tb.Fatalf("the line has no %s", edits[i])
		}
		line = strings.Replace(line, edits[i], edits[i+1], 1)
	}
	return line
}

// summary is what a report says, in one line.
func summary(r *replay.Report) string {
	var parts []string
	for _, c := range r.Changes {
		text := fmt.Sprintf("%s %s %s x%d", c.Client, c.Kind, c.What, c.Count)
		if len(c.Reasons) > 0 {
			text += fmt.Sprint(" ", c.Reasons)
		}
		if c.Before != "" || c.After != "" {
			text += fmt.Sprintf(" %s->%s", c.Before, c.After)
		}
		if c.Uncertain > 0 {
			text += fmt.Sprintf(" ~%d", c.Uncertain)
		}
		parts = append(parts, text)
	}
	for _, f := range r.Failures {
		parts = append(parts, fmt.Sprintf("fails %s x%d", f.Kind, f.Count))
	}
	t := r.Totals
	if t.Cut > 0 {
		parts = append(parts, fmt.Sprintf("%d cut", t.Cut))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d=%d+%d+%d+%d ~%d !%d .%d", t.Decisions, t.Same, t.Changed, t.Failed, t.Masked, t.Uncertain, t.Unreadable, t.Other)), ", ")
}

func TestReplay(t *testing.T) {
	const head = "package m2m.token\n"
	const frozen = head + `rejected contains {"scope": s.raw, "reason": "frozen"} if some s in input.scopes`
	for name, test := range map[string]struct {
		rego  string
		lines []string
		want  string
	}{
		"the same policy": {"", []string{token(t)}, "1=1+0+0+0 ~0 !0 .0"},
		"a loss": {frozen, []string{token(t), token(t), token(t, `"id":"ci-bot"`, `"id":"other"`)},
			"ci-bot loses book:1:read x2 map[frozen:2], other loses book:1:read x1 map[frozen:1], 3=0+3+0+0 ~0 !0 .0"},
		"a gain": {head + `granted contains "book:1:edit"`, []string{token(t)}, "ci-bot gains book:1:edit x1, 1=0+1+0+0 ~0 !0 .0"},
		"another reason is not a change": {head + `rejected contains {"scope": "book:1:edit", "reason": "x"}`, []string{token(t)},
			"1=1+0+0+0 ~0 !0 .0"},
		"beyond the subject": {head + `granted contains "book:1:edit"`, []string{token(t, "no grant covers it", "beyond_subject")}, "1=1+0+0+0 ~0 !0 .0"},
		"beyond the subject by a rule": {head + "granted contains \"book:1:edit\"\n\n" + `beyond_subject contains {"scope": "book:1:edit", "reason": "x"}`,
			[]string{token(t, "no grant covers it", "beyond_subject")}, "ci-bot gains book:1:edit x1, 1=0+1+0+0 ~0 !0 .0"},
		"no longer beyond the subject": {"", []string{token(t, `"result":{`, `"result":{"beyond_subject":[{"scope":"book:1:read","reason":"x"}],`)}, "ci-bot loses book:1:read x1, 1=0+1+0+0 ~0 !0 .0"},
		"held back by the issuer":      {head + `granted contains "book:1:edit"`, []string{token(t, "no grant covers it", "other_audience")}, "1=1+0+0+0 ~0 !0 .0"},
		"never asked": {frozen, []string{token(t, `"scopes":[{"raw":"book:1:read","resource":"book","identifier":"1","action":"read"},{"raw":"book:1:edit","resource":"book","identifier":"1","action":"edit"}]`, `"scopes":[]`,
			`"granted":["book:1:read"],"rejected":[{"scope":"book:1:edit","reason":"no grant covers it"}]`, `"granted":[],"rejected":[{"scope":"film:read","reason":"other_audience"}]`)},
			"1=1+0+0+0 ~0 !0 .0"},
		"at the time of the log": {head + `granted contains "book:1:edit" if time.now_ns() == time.parse_rfc3339_ns("2026-03-04T05:06:07.123456789Z")`, []string{token(t)},
			"ci-bot gains book:1:edit x1, 1=0+1+0+0 ~0 !0 .0"},
		"claims": {head + "claims.team := input.client.attributes.team\nclaims.n := 1", []string{token(t, `],"rejected"`, `],"claims":{"team":"x","n":1,"gone":true},"rejected"`)},
			`ci-bot claim gone x1 true->, ci-bot claim team x1 "x"->"catalogue", 1=0+1+0+0 ~0 !0 .0`},
		"claims of no token": {head + "claims.team := 1", []string{token(t, `"granted":["book:1:read"],"rejected":[`, `"granted":[],"rejected":[{"scope":"book:1:read","reason":"other_audience"},`)},
			"1=1+0+0+0 ~0 !0 .0"},
		"a lifetime":       {head + "ttl contains 60", []string{token(t, `"result":{`, `"result":{"ttl":300,`)}, "ci-bot ttl  x1 300->60, 1=0+1+0+0 ~0 !0 .0"},
		"the same ttl":     {head + "ttl contains 60", []string{token(t, `"result":{`, `"result":{"ttl":60,`)}, "1=1+0+0+0 ~0 !0 .0"},
		"reserved claims":  {head + `claims[n] := 1 if some n in ["iss"]`, []string{token(t)}, "fails claims x1, 1=0+0+1+0 ~0 !0 .0"},
		"a conflict":       {head + "claims.a := 1\nclaims.a := 2", []string{token(t)}, "fails conflict x1, 1=0+0+1+0 ~0 !0 .0"},
		"a wrong type":     {head + `ttl contains object.get({"s": 0}, "s", 0)`, []string{token(t), token(t)}, "fails wrong_type x2, 2=0+0+2+0 ~0 !0 .0"},
		"a plain OPA path": {frozen, []string{token(t, `"path":"m2m/token"`, `"path":"/m2m/token"`)}, "ci-bot loses book:1:read x1 map[frozen:1], 1=0+1+0+0 ~0 !0 .0"},
		"masked input": {frozen, []string{token(t, `"id":"ci-bot",`, ``, `"jti"`, `"erased":["/input/client/id"],"jti"`)},
			" loses book:1:read x1 map[frozen:1] ~1, 1=0+1+0+0 ~1 !0 .0"},
		"masked beyond use": {frozen, []string{token(t, `"client":`, `"x":`, `"jti"`, `"erased":["/input/client"],"jti"`), token(t, `"input":`, `"x":`, `"jti"`, `"erased":["/input"],"jti"`),
			token(t, `"input":`, `"x":`, `"result":`, `"y":`, `"jti"`, `"mask_error":"x","jti"`), token(t, `"granted":["book:1:read"],`, ``, `"jti"`, `"masked":["/result/granted"],"jti"`),
			token(t, `{"raw":"book:1:read","resource":"book","identifier":"1","action":"read"}`, `null`, `"jti"`, `"erased":["/input/scopes/0"],"jti"`)},
			"5=0+0+0+5 ~0 !0 .0"},
		"masked claims are not compared": {head + "claims.team := 1\nttl contains 5", []string{token(t, `"jti"`, `"erased":["/result/claims/team"],"jti"`), token(t, `"jti"`, `"masked":["/result/ttl"],"jti"`)},
			"ci-bot claim team x1 ->1 ~1, ci-bot ttl  x1 ->5 ~1, 2=0+2+0+0 ~2 !0 .0"},
		// each of them would be read as a whole decision: with fewer scopes, grants, attributes or reasons
		"cut": {frozen, []string{token(t, `"jti"`, `"cut":{"input.scopes":98,"result.rejected":98},"jti"`), token(t, `"jti"`, `"cut":{"input.client.grants":1},"jti"`),
			token(t, `"jti"`, `"erased":["/input/client/id"],"cut":{"result.observed":1},"jti"`), token(t, `"input":`, `"x":`, `"result":`, `"y":`, `"jti"`, `"cut":{"input":1,"result":1},"jti"`),
			request(t, `"decision_id"`, `"cut":{"input.token.claims":3},"decision_id"`), token(t, `"jti"`, `"cut":true,"jti"`)},
			"6 cut, 6=0+0+0+0 ~0 !0 .0"},
		"cut and masked beyond use": {frozen, []string{token(t, `"jti"`, `"mask_error":"x","cut":{"mask_error":5000},"jti"`)}, "1=0+0+0+1 ~0 !0 .0"},
		"not cut":                   {"", []string{token(t, `"jti"`, `"cut":null,"jti"`)}, "1=1+0+0+0 ~0 !0 .0"},
		"unreadable": {"", []string{"{", `{"path":`, token(t, `"client":`, `"x":`), token(t, `"2026-03-04T05:06:07.123456789Z"`, `"yesterday"`), token(t, `"result":`, `"x":`), token(t, `"decision_id":"D1"`, `"decision_id":7`),
			token(t, `"decision_id"`, `"x"`), token(t, `,"rejected":[{"scope":"book:1:edit","reason":"no grant covers it"}]`, ``), token(t, `"granted":["book:1:read"]`, `"granted":"book:1:read"`)},
			"0=0+0+0+0 ~0 !9 .0"},
		"other lines": {"", []string{"", "  ", "2026/03/04 started", `{"level":"info","msg":"serving","path":["a"]}`, `{"path":"system/main","decision_id":"x"}`, `{"decision_id":"D1","msg":"token request refused"}`, "[]", " " + token(t) + "\r"},
			"1=1+0+0+0 ~0 !0 .5"},
		"a request that is denied": {"package m2m.request\ndenied contains {\"reason\": \"no\"}", []string{request(t), request(t)},
			"ci-bot denied PUT /books/{id} x2 map[no:2], 2=0+2+0+0 ~0 !0 .0"},
		"a request that is let through": {"package m2m.request\nobserved contains {\"reason\": \"x\"}", []string{request(t, `"denied":[]`, `"denied":["no"]`), request(t, `"required":[]`, `"required":["film:read"]`)},
			"ci-bot allowed PUT /books/{id} x2, 2=0+2+0+0 ~0 !0 .0"},
		"what a request requires": {"package m2m.request\nrequired contains \"book:1:edit\"\nrequired contains \"shelf:1:edit\" if input.request.host == \"x\"", []string{request(t), request(t, `"api.example.com"`, `"x"`)},
			"ci-bot denied PUT /books/{id} x1 map[needs shelf:1:edit:1], 2=1+1+0+0 ~0 !0 .0"},
		"headers": {"package m2m.request\nheaders[\"X-A\"] := \"1\"\nheaders[\"X-B\"] := \"1\"", []string{request(t, `"headers":{}}}`, `"headers":{"X-A":"1","X-C":"1"}}}`)},
			`ci-bot header X-B x1 ->"1", ci-bot header X-C x1 "1"->, 1=0+1+0+0 ~0 !0 .0`},
		"a request of no route": {"package m2m.request\ndenied contains {\"reason\": \"no\"}", []string{request(t, `"pattern":"PUT /books/{id}"`, `"pattern":""`)},
			"ci-bot denied PUT api.example.com x1 map[no:1], 1=0+1+0+0 ~0 !0 .0"},
		"a request that no rule is about":  {frozen, []string{request(t)}, "fails no_rule x1, 1=0+0+1+0 ~0 !0 .0"},
		"a request that cannot be decided": {"package m2m.request\ndenied contains object.get({\"v\": \"x\"}, \"v\", 0)", []string{request(t)}, "fails wrong_type x1, 1=0+0+1+0 ~0 !0 .0"},
		"a masked verdict":                 {"", []string{request(t, `"denied":[],`, ``, `"decision_id"`, `"erased":["/result/denied"],"decision_id"`)}, "1=0+0+0+1 ~0 !0 .0"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := summary(run(t, candidate(t, test.rego), test.lines...)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestReplayNamesExamples: the first decision of each kind and the first bad lines, however many workers
// there are.
func TestReplayNamesExamples(t *testing.T) {
	engine := candidate(t, "package m2m.token\nrejected contains {\"scope\": s.raw, \"reason\": input.client.description} if some s in input.scopes\nttl contains object.get({\"s\": 0}, \"s\", 0) if input.client.id == \"bad\"")
	var lines []string
	for i := range 1000 {
		lines = append(lines, token(t, `"D1"`, fmt.Sprintf(`"D%d"`, i), `"description":""`, fmt.Sprintf(`"description":"r%d"`, i%8), `"id":"ci-bot"`, fmt.Sprintf(`"id":%q`, []string{"ci-bot", "bad"}[i%2])), "{")
	}
	report := run(t, engine, lines...)
	if len(report.Changes) != 1 || len(report.Failures) != 1 || len(report.Problems) != 5 {
		t.Fatalf("got %s", asJSON(t, report))
	}
	if c := report.Changes[0]; c.Example != "D0" || c.Where != "log:1" || c.Count != 500 || len(c.Reasons) != 4 {
		t.Errorf("got %+v", c)
	}
	if f := report.Failures[0]; f.Example != "D1" || f.Where != "log:3" || f.Count != 500 || !strings.Contains(f.Error, "ttl (") {
		t.Errorf("got %+v", f)
	}
	if p := report.Problems[0]; p.Where != "log:2" || p.Error != "not JSON" || report.Problems[4].Where != "log:10" || report.Totals.Unreadable != 1000 {
		t.Errorf("got %+v", report.Problems)
	}
}

// TestReplayOfManyReasons: their number is bounded, their counts are not lost.
func TestReplayOfManyReasons(t *testing.T) {
	engine := candidate(t, "package m2m.token\nrejected contains {\"scope\": s.raw, \"reason\": input.client.description} if some s in input.scopes")
	var lines []string
	for i := range 100 {
		lines = append(lines, token(t, `"description":""`, fmt.Sprintf(`"description":"%d%s"`, i, strings.Repeat("x", 1000))))
	}
	reasons, total := run(t, engine, lines...).Changes[0].Reasons, 0
	for reason, count := range reasons {
		if len(reason) > 310 {
			t.Errorf("a reason of %d bytes", len(reason))
		}
		total += count
	}
	if len(reasons) != 6 || total != 100 {
		t.Errorf("%d reasons for %d", len(reasons), total)
	}
}

// TestReplayOf10000: the clients with odd numbers lose what is frozen.
func TestReplayOf10000(t *testing.T) {
	const n = 10_000
	engine := candidate(t, "package m2m.token\nrejected contains {\"scope\": s.raw, \"reason\": \"frozen\"} if {\n\tsome s in input.scopes\n\ts.action == \"read\"\n\tinput.client.attributes.team == \"frozen\"\n}")
	lines := make([]string, n)
	for i := range lines {
		lines[i] = token(t, `"D1"`, fmt.Sprintf(`"D%d"`, i), `"id":"ci-bot"`, fmt.Sprintf(`"id":"c%d"`, i%100), `"team":"catalogue"`, fmt.Sprintf(`"team":%q`, []string{"catalogue", "frozen"}[i%2]))
	}
	start := time.Now()
	report := run(t, engine, lines...)
	t.Logf("%d decisions took %v", n, time.Since(start))
	if report.Totals.Same != n/2 || report.Totals.Changed != n/2 || len(report.Changes) != 50 || report.Changes[0].Client != "c1" || report.Changes[0].Count != n/100 {
		t.Errorf("got %+v, %d changes", report.Totals, len(report.Changes))
	}
}

func TestReplayFailsToRead(t *testing.T) {
	engine := candidate(t, "")
	broken := errors.New("broken disk")
	_, err := replay.Run(t.Context(), replay.Config{Policy: engine}, replay.Log{Name: "a", Reader: strings.NewReader(token(t))}, replay.Log{Name: "b.json", Reader: iotest.ErrReader(broken)})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "reading b.json: ") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if report, err := replay.Run(ctx, replay.Config{Policy: engine}, replay.Log{Name: "a", Reader: strings.NewReader(token(t))}); !errors.Is(err, context.Canceled) || report != nil {
		t.Errorf("got %v, %v", report, err)
	}
}

// TestLongLines: one that is too long is passed over, and told.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 4<<20)
	report := run(t, candidate(t, ""), token(t, `"description":""`, `"description":"`+long[:3<<20]+`"`), token(t, `"description":""`, `"description":"`+long+`"`), token(t), `{"`+long)
	if got := summary(report); got != "2=2+0+0+0 ~0 !2 .0" || report.Problems[0].Where != "log:2" || report.Problems[0].Error != "longer than 4 MiB" || report.Problems[1].Where != "log:4" {
		t.Errorf("got %s, %v", got, report.Problems)
	}
}

// slow is a policy without time for the decisions of one client; it has for those of others.
func slow(t *testing.T) *policy.Engine {
	t.Helper()
	file := filepath.Join(t.TempDir(), "slow.rego")
	rego := "package m2m.token\n\nttl contains 60 if {\n\tinput.client.id == \"slow\"\n\tevery x in numbers.range(1, 1000000) { x > 0 }\n}\n"
	if err := os.WriteFile(file, []byte(rego), 0o600); err != nil {
		t.Fatal(err)
	}
	engine, err := policy.Load(policy.Config{Paths: []string{file}, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	return engine
}

func TestReplayGivesUpOnASlowCandidate(t *testing.T) {
	engine := slow(t)
	late := token(t, `"id":"ci-bot"`, `"id":"slow"`)
	replayed := func(lines ...string) (*replay.Report, error) {
		log := replay.Log{Name: "log", Reader: strings.NewReader(strings.Join(lines, "\n"))}
		return replay.Run(t.Context(), replay.Config{Policy: engine, Workers: 1, GiveUp: 3}, log)
	}
	report, err := replayed(append(slices.Repeat([]string{late}, 3), strings.Repeat(token(t)+"\n", 100_000))...)
	if !errors.Is(err, replay.ErrTooSlow) || report != nil {
		t.Fatalf("got %v, %v", report, err)
	}
	for _, part := range []string{"3 decisions in a row were not made in time, the last at log:3: ", "deciding by policy: "} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not have %q", err, part)
		}
	}
	faulty := token(t, `"scopes":[`, `"scopes":[null,`) // no decision at all, and so not in between
	if _, err := replayed(late, late, faulty, late); !errors.Is(err, replay.ErrTooSlow) {
		t.Errorf("got %v", err)
	}
}

// Decisions that are made in between are a reason to go on, also when they are made otherwise.
func TestReplayGoesOnWhenSomeDecisionsAreMade(t *testing.T) {
	engine := slow(t)
	late := token(t, `"id":"ci-bot"`, `"id":"slow"`)
	for range 5 { // a busy machine may be late itself
		log := replay.Log{Name: "log", Reader: strings.NewReader(strings.Join([]string{late, late, token(t), token(t), token(t), late, late, token(t)}, "\n"))}
		report, err := replay.Run(t.Context(), replay.Config{Policy: engine, Workers: 1, GiveUp: 3}, log)
		if err == nil && report.Totals.Failed >= 4 {
			return
		}
	}
	t.Error("a candidate that is slow for one client is given up")
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// FuzzLog: any text is counted line by line, and none is taken for what it is not.
func FuzzLog(f *testing.F) {
	engine := candidate(f, "")
	for _, seed := range []string{token(f), request(f), "{\n[\n\n", token(f) + "\r\n" + request(f, `"path":["books","1"]`, `"path":null`), "{\"path\":\"m2m/token\"}\n" + token(f)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		report, err := replay.Run(t.Context(), replay.Config{Policy: engine}, replay.Log{Name: "log", Reader: iotest.OneByteReader(strings.NewReader(text))})
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		totals := report.Totals
		if got := totals.Decisions + totals.Unreadable + totals.Other; got != lines {
			t.Errorf("%d lines are counted, of %d: %+v", got, lines, totals)
		}
		if totals.Decisions != totals.Same+totals.Changed+totals.Failed+totals.Masked+totals.Cut {
			t.Errorf("the totals are %+v", totals)
		}
	})
}
