package decisionlog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

const (
	maxTestLine = 16 << 10
	manyScopes  = 100 // of a token request
)

// longTokenDecision has as many scopes as one request can ask for, half of them granted.
func longTokenDecision(t *testing.T, length int) (*policy.TokenInput, *policy.TokenDecision) {
	t.Helper()
	in, d := tokenDecision(t)
	raws := make([]string, manyScopes)
	d.Granted, d.Rejected = nil, nil
	for i := range raws {
		raws[i] = fmt.Sprintf("book:%03d%s:read", i, strings.Repeat("x", length-len("book:000:read")))
		if i%2 == 0 {
			d.Granted = append(d.Granted, raws[i])
		} else {
			d.Rejected = append(d.Rejected, policy.Rejection{Scope: raws[i], Reason: "no grant covers it"})
		}
	}
	in.Scopes = scopesOf(t, raws...)
	return in, d
}

// cutOf is what a line says of its cuts.
func cutOf(t *testing.T, line map[string]json.RawMessage) map[string]int {
	t.Helper()
	cut := make(map[string]int)
	if line["cut"] != nil {
		if err := json.Unmarshal(line["cut"], &cut); err != nil {
			t.Fatalf("cut is %s", line["cut"])
		}
	}
	return cut
}

// cutLine writes an event that may be long, and checks the length of the line.
func cutLine(t *testing.T, e *Event, masks string) map[string]json.RawMessage {
	t.Helper()
	line := mustWrite(t, e, masks)
	size := 2
	for name, value := range line {
		size += len(name) + 4 + len(value)
	}
	if size > maxTestLine {
		t.Errorf("the line has %d bytes", size)
	}
	return line
}

// TestLongLinesAreCut: what is kept and what is left out add up.
func TestLongLinesAreCut(t *testing.T) {
	for _, length := range []int{60, 512} {
		in, d := longTokenDecision(t, length)
		line := cutLine(t, TokenEvent(in, d), "")
		read := readLine(t, line)
		cut := cutOf(t, line)
		for name, counts := range map[string][2]int{
			"input.scopes":    {len(read.Input.Scopes), len(in.Scopes)},
			"result.granted":  {len(read.Result.Granted), len(d.Granted)},
			"result.rejected": {len(read.Result.Rejected), len(d.Rejected)},
		} {
			if counts[0] == 0 || counts[0]+cut[name] != counts[1] {
				t.Errorf("%s: %d are there and %d were left out, of %d", name, counts[0], cut[name], counts[1])
			}
		}
		left := 0
		for i, s := range read.Input.Scopes {
			short, isCut := strings.CutSuffix(s.Raw, cutMark)
			if left += length - len(short); isCut != (len(short) < length) || !strings.HasPrefix(in.Scopes[i].Raw, short) {
				t.Errorf("scope %q stands for %q", s.Raw, in.Scopes[i].Raw)
			}
		}
		if left != cut["input.scopes.*.raw"] || (left > 0) != (length == 512) {
			t.Errorf("%d bytes of scopes were left out, and the line says %v", left, cut)
		}
		if read.Input.Issuer != in.Issuer || string(line["client_id"]) != `"ci-bot"` || len(read.Input.Client.Grants) != 2 || read.Result.TTL != 300 {
			t.Errorf("more was left out than is long: %s %s", line["input"], line["result"])
		}
	}
}

type readEvent struct {
	Input struct {
		Issuer string `json:"issuer"`
		Client struct {
			Grants []any `json:"grants"`
		} `json:"client"`
		Scopes []scope.Scope `json:"scopes"`
	}
	Result struct {
		Granted  []string `json:"granted"`
		Rejected []any    `json:"rejected"`
		TTL      int      `json:"ttl"`
	}
}

func readLine(t *testing.T, line map[string]json.RawMessage) (read readEvent) {
	t.Helper()
	for name, into := range map[string]any{"input": &read.Input, "result": &read.Result} {
		if err := json.Unmarshal(line[name], into); err != nil {
			t.Fatalf("%s: %v", line[name], err)
		}
	}
	return read
}

// TestAnyLineFits: whatever is large in it.
func TestAnyLineFits(t *testing.T) {
	long := strings.Repeat("é", 50_000)
	var deep any = "x"
	for range 8 {
		deep = map[string]any{"a": deep, "b": deep, "c": []any{deep}}
	}
	wide := make(map[string]any)
	for i := range 5000 {
		wide[fmt.Sprintf("name%d%s", i, long[:200])] = []any{long[:40], json.Number("1")}
	}
	many := slices.Repeat([]string{"\x01\xff\"\u2028"}, 20_000)
	for name, change := range map[string]func(*policy.RequestInput, *policy.RequestDecision){
		"a header": func(in *policy.RequestInput, _ *policy.RequestDecision) {
			in.Request.Headers = map[string][]string{"x-a": {long}}
		},
		"headers": func(in *policy.RequestInput, _ *policy.RequestDecision) {
			in.Request.Headers = map[string][]string{"x-a": many}
		},
		"a path":      func(in *policy.RequestInput, _ *policy.RequestDecision) { in.Request.Path = many },
		"a host":      func(in *policy.RequestInput, _ *policy.RequestDecision) { in.Request.Host = long },
		"a parameter": func(in *policy.RequestInput, _ *policy.RequestDecision) { in.Request.Route.Parameters["id"] = long },
		"scopes": func(in *policy.RequestInput, _ *policy.RequestDecision) {
			in.Token.Scopes = scopesOf(t, strings.Split(strings.Repeat("book ", 3000)+"film", " ")...)
		},
		"nested claims":   func(in *policy.RequestInput, _ *policy.RequestDecision) { in.Token.Claims["deep"] = deep },
		"names of claims": func(in *policy.RequestInput, _ *policy.RequestDecision) { in.Token.Claims = wide },
		"a name":          func(in *policy.RequestInput, _ *policy.RequestDecision) { in.Token.Claims[long] = 1 },
		"a number": func(in *policy.RequestInput, _ *policy.RequestDecision) {
			in.Token.Claims["n"] = json.Number(strings.Repeat("9", 30_000))
		},
		"reasons":  func(_ *policy.RequestInput, d *policy.RequestDecision) { d.Denied, d.Observed = many, many },
		"a reason": func(_ *policy.RequestInput, d *policy.RequestDecision) { d.Denied = []string{long} },
		"required": func(_ *policy.RequestInput, d *policy.RequestDecision) {
			d.Required = scopesOf(t, strings.Split(strings.Repeat("book ", 3000)+"film", " ")...)
		},
		"upstream headers": func(_ *policy.RequestInput, d *policy.RequestDecision) {
			d.Headers = map[string]string{"X-A": long, "X-B": long}
		},
		"all of it": func(in *policy.RequestInput, d *policy.RequestDecision) {
			in.Request.Path, in.Request.Headers, in.Token.Claims = many, map[string][]string{"x-a": many, "x-b": {long}}, wide
			d.Denied, d.Headers = many, map[string]string{"X-A": long}
		},
	} {
		for _, masks := range []string{"", `mask contains "/input/token/subject"`} {
			t.Run(name+" "+masks, func(t *testing.T) {
				in, d := requestDecision(t)
				change(in, d)
				line := cutLine(t, RequestEvent(in, d), masks)
				if !utf8.Valid(line["input"]) || line["result"] == nil || line["cut"] == nil || line["client_id"] == nil {
					t.Errorf("the line is %s", line)
				}
				if len(cutOf(t, line)) > maxCuts || masks != "" && line["erased"] == nil {
					t.Errorf("cut is %s, erased %s", line["cut"], line["erased"])
				}
			})
		}
	}
}

// TestCredentialsAreMaskedBeforeTheCut: a part of one would not be known for one, and what the line says of masks takes
// room as well.
func TestCredentialsAreMaskedBeforeTheCut(t *testing.T) {
	secret := registry.NewSecret()
	for _, masks := range []string{"", `mask contains "/input/token/subject"`} {
		for from := range 1024 {
			if from%8 != 0 {
				continue
			}
			in, d := requestDecision(t)
			in.Request.Headers = map[string][]string{"x-a": {strings.Repeat("x", from) + secret + strings.Repeat(".", maxDecision)}}
			line := cutLine(t, RequestEvent(in, d), masks)
			if strings.Contains(string(line["input"]), secret[:8]) || line["cut"] == nil {
				t.Fatalf("after %d bytes: the line is %s", from, line)
			}
			if masks != "" {
				break // slower, and the same
			}
		}
		in, d := requestDecision(t)
		name := strings.Repeat("n", 2000)
		in.Token.Claims = map[string]any{name: slices.Repeat([]any{secret}, 100), "jwk": map[string]any{"kty": "EC", "d": "x", "k": "y"}}
		line := cutLine(t, RequestEvent(in, d), masks)
		if strings.Contains(string(line["input"]), secret[:8]) || line["cut"] == nil || line["masked"] == nil {
			t.Errorf("the line is %s", line)
		}
	}
}

// TestManyPlacesAreCut: the line says of some which they are, and of the others how much it is.
func TestManyPlacesAreCut(t *testing.T) {
	claims := make(map[string]any)
	for i := range 40 {
		claims[fmt.Sprintf("claim%02d", i)] = strings.Repeat("x", 1024+100)
	}
	kept, cut, _ := cutToFit([]zap.Field{zap.Reflect("input", map[string]any{"token": map[string]any{"claims": claims}})})
	kept = kept["input"].(map[string]any)["token"].(map[string]any)["claims"].(map[string]any)
	left := 0
	for name, text := range kept {
		left += len(claims[name].(string)) - len(strings.TrimSuffix(text.(string), cutMark))
	}
	counted := 0
	for place, n := range cut {
		if place != "input.token.claims" {
			counted += n
		}
	}
	if len(cut) != maxCuts || cut["others"] == 0 || counted != left || len(kept)+cut["input.token.claims"] != len(claims) {
		t.Errorf("%d bytes of %d claims were left out, and cut is %v", left, len(kept), cut)
	}
	if len(claims["claim00"].(string)) != 1124 || len(claims) != 40 {
		t.Error("the claims themselves were cut")
	}
}

// TestWhatCannotBeCut: a line says that everything is left out, rather than being too long.
func TestWhatCannotBeCut(t *testing.T) {
	var all []zap.Field
	for i := range 2000 {
		all = append(all, zap.Bool(fmt.Sprint("member", i), true))
	}
	if kept, cut, _ := cutToFit(all); kept != nil || len(cut) == 0 || cut.size() > maxDecision {
		t.Errorf("%d members are left, and cut is %v", len(kept), cut)
	}
}

// TestMasksSeeWhatIsCut: a client cannot hide from a mask what a long line leaves out.
func TestMasksSeeWhatIsCut(t *testing.T) {
	in, d := longTokenDecision(t, 512)
	in.Scopes = append(in.Scopes, scopesOf(t, "salary:*:read")...)
	in.Client.Description = strings.Repeat("x", 3000) + " mail@example.com"
	line := cutLine(t, TokenEvent(in, d), `
mask contains "/input/client/attributes" if input.input.scopes[_].resource == "salary"
mask contains "/input/client/description" if contains(input.input.client.description, "@")
mask contains {"op": "upsert", "path": "/input/scopes/0/identifier", "value": "hidden"}
mask contains sprintf("/input/scopes/%d", [i]) if {
	some i, _ in input.input.scopes
	i > 0
}`)
	lineHas(t, line, []string{`"levels"`, `"description"`, "@"}, []string{`"identifier":"hidden"`, `"scopes":[{`, `},null`, `"masked":["/input/scopes/0/identifier"]`, `"erased":["/input/client/attributes"`})
	cut := cutOf(t, line)
	var erased []string
	if err := json.Unmarshal(line["erased"], &erased); err != nil || len(erased)+cut["erased"] != 2+100 {
		t.Errorf("%d erased are listed and %d were left out: %v", len(erased), cut["erased"], err)
	}
}

// TestNoPartOfACredentialIsLeft has a secret where a text is cut off.
func TestNoPartOfACredentialIsLeft(t *testing.T) {
	secret := registry.NewSecret()
	for before := cutLimits[0].text - len(secret) + 1; before < cutLimits[0].text; before += 9 {
		in, d := requestDecision(t)
		in.Token.Claims = map[string]any{"note": strings.Repeat("-", before) + secret + strings.Repeat("-", maxTestLine)}
		line := cutLine(t, RequestEvent(in, d), "")
		if strings.Contains(string(line["input"]), secret[:8]) || !strings.Contains(string(line[logmask.Key]), "/input/token/claims/note") {
			t.Errorf("%d bytes before the secret: masked %s", before, line[logmask.Key])
		}
	}
}

// TestShortLinesStayAsTheyAre, byte for byte.
func TestShortLinesStayAsTheyAre(t *testing.T) {
	in, d := tokenDecision(t)
	token := TokenEvent(in, d)
	request := RequestEvent(requestDecision(t))
	for want, e := range map[string]*Event{shortTokenLine: token, shortRequestLine: request} {
		e.ID, e.took, e.More = "D1", 7, []zap.Field{zap.String("jti", "J1")}
		e.cut()
		encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
		line, err := encoder.EncodeEntry(zapcore.Entry{}, []zap.Field{zap.Inline(e)})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(line.String()); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestScan counts at least the bytes of the line, and not many more, by fields and by values.
func TestScan(t *testing.T) {
	in, d := tokenDecision(t)
	asked, judged := requestDecision(t)
	in.Client.Description = "\x01\xff\"\\\u2028é" + strings.Repeat("<&>", 100)
	for _, e := range []*Event{TokenEvent(in, d), RequestEvent(asked, judged), TokenEvent(&policy.TokenInput{Client: new(policy.Client)}, new(policy.TokenDecision))} {
		encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
		line, err := encoder.EncodeEntry(zapcore.Entry{}, []zap.Field{e.input, e.result})
		if err != nil {
			t.Fatal(err)
		}
		all := zapcore.NewMapObjectEncoder()
		e.input.AddTo(all)
		e.result.AddTo(all)
		size := line.Len() - len("{}")
		scanned, _ := logmask.Scan(e.input, e.result)
		for how, counted := range map[string]int{"fields": scanned, "values": logmask.Size(all.Fields)} {
			if counted < size || counted > size+size/4+50 {
				t.Errorf("%s: %d bytes count as %d", how, size, counted)
			}
		}
	}
	unusual := zap.Inline(zapcore.ObjectMarshalerFunc(func(object zapcore.ObjectEncoder) error {
		object.AddInt("n", 1)
		return object.AddArray("list", zapcore.ArrayMarshalerFunc(func(array zapcore.ArrayEncoder) error {
			array.AppendInt(1)
			return nil
		}))
	}))
	if size, _ := logmask.Scan(unusual); size == 0 {
		t.Error("nothing is counted")
	}
}

const (
	shortTokenLine = `{"decision_id":"D1","path":"m2m/token","labels":{"issuer":"https://auth.example.com"},"timestamp":"2026-01-02T02:04:05.678901234Z","revision":"419fe15ef4dc498c","requested_by":"192.0.2.1","client_id":"ci-bot",` +
		`"input":{"issuer":"https://auth.example.com","client":{"id":"ci-bot","auth_method":"client_secret_basic","description":"Nightly \"import\"","attributes":{"levels":[1.5,null,true],"team":"catalogue"},"audiences":["https://api.example.com"],"networks":["192.0.2.0/24"],` +
		`"grants":[{"resource":"book","identifiers":["*"],"actions":["read","edit"],"effect":"allow"},{"resource":"book","identifiers":["secret-*"],"actions":["*"],"effect":"deny"}]},` +
		`"scopes":[{"raw":"book:1:read","resource":"book","identifier":"1","action":"read"},{"raw":"film:<1>&:edit","resource":"film","identifier":"<1>&","action":"edit"}],` +
		`"resources":{"book":{"actions":["edit","read"],"audience":"https://api.example.com","attributes":{"public":true}},"film":{"actions":["read"],"audience":"https://films.example.com","attributes":{}}},` +
		`"request":{"remote_ip":"192.0.2.1","auth_method":"client_secret_basic","audience":["https://api.example.com"]}},` +
		`"result":{"granted":["book:1:read"],"rejected":[{"scope":"film:1:edit","reason":"no grant covers it"}],"observed":[{"scope":"book:1:read","reason":"at night"}],"beyond_subject":[{"scope":"book:1:read","reason":"of the catalogue"}],"ttl":300,"claims":{"team":"catalogue"}},"jti":"J1","metrics":{"timer_server_handler_ns":7}}`
	shortRequestLine = `{"decision_id":"D1","path":"m2m/request","labels":{"issuer":"https://auth.example.com"},"timestamp":"2026-01-02T03:04:05Z","revision":"r1","requested_by":"192.0.2.1","client_id":"ci-bot",` +
		`"input":{"issuer":"https://auth.example.com","request":{"method":"PUT","host":"api.example.com","path":["books","a/b"],"route":{"pattern":"PUT /books/{id}","parameters":{"a":"1","id":"a/b"}},` +
		`"remote_ip":"192.0.2.1","headers":{"x-a":[],"x-tenant":["acme","b"]}},"token":{"client_id":"ci-bot","subject":"ci-bot","scopes":[{"raw":"book:edit","resource":"book","identifier":"*","action":"edit"}],` +
		`"claims":{"aud":["a","b"],"exp":1795457575,"nested":{"list":[true,1,[],{},null]}}}},` +
		`"result":{"denied":["at night"],"observed":["not from the office"],"required":["shelf:read"],"headers":{"X-Tenant":"acme"}},"jti":"J1","metrics":{"timer_server_handler_ns":7}}`
)
