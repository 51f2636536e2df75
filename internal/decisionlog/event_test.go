package decisionlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

func scopesOf(tb testing.TB, raws ...string) []scope.Scope {
	tb.Helper()
	scopes := make([]scope.Scope, len(raws))
	for i, raw := range raws {
		s, err := scope.Parse(raw)
		if err != nil {
			tb.Fatal(err)
		}
		scopes[i] = s
	}
	return scopes
}

// tokenDecision is a decision of which every part is there.
func tokenDecision(tb testing.TB) (*policy.TokenInput, *policy.TokenDecision) {
	return &policy.TokenInput{
			Issuer: "https://auth.example.com",
			Client: &policy.Client{
				ID: "ci-bot", AuthMethod: "client_secret_basic", Description: "Nightly \"import\"",
				Attributes: map[string]any{"team": "catalogue", "levels": []any{1.5, nil, true}},
				Audiences:  []string{"https://api.example.com"}, Networks: []string{"192.0.2.0/24"},
				Grants: []scope.Grant{
					{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read", "edit"}},
					{Resource: "book", Identifiers: []string{"secret-*"}, Actions: []string{"*"}, Deny: true},
				},
			},
			Scopes: scopesOf(tb, "book:1:read", "film:<1>&:edit"),
			Resources: map[string]*policy.Resource{
				"book": {Actions: []string{"edit", "read"}, Audience: "https://api.example.com", Attributes: map[string]any{"public": true}},
				"film": {Actions: []string{"read"}, Audience: "https://films.example.com"},
			},
			Request: policy.TokenRequest{RemoteIP: "192.0.2.1", AuthMethod: "client_secret_basic", Audience: []string{"https://api.example.com"}},
			Time:    time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.FixedZone("", 3600)),
		}, &policy.TokenDecision{
			Granted: []string{"book:1:read"}, Rejected: []policy.Rejection{{Scope: "film:1:edit", Reason: "no grant covers it"}},
			Observed:      []policy.Rejection{{Scope: "book:1:read", Reason: "at night"}},
			BeyondSubject: []policy.Widening{{Scope: "book:1:read", Reason: "of the catalogue"}},
			Claims:        map[string]any{"team": "catalogue"}, TTL: 5 * time.Minute, Revision: "419fe15ef4dc498c",
		}
}

// exchanged is the input of a token exchange.
func exchanged(tb testing.TB) *policy.TokenInput {
	in, _ := tokenDecision(tb)
	in.Subject = &policy.Party{
		Issuer: "https://auth.example.com", Subject: "reader", ClientID: "reader", Scopes: scopesOf(tb, "book:1:read"),
		Claims: map[string]any{"scope": "book:1:read"}, Type: "jwt", KeyID: "k1",
	}
	in.Actor = &policy.Party{Issuer: "https://spire.example.com", Subject: "spiffe://example.com/books", ClientID: "ci-bot", Type: "jwt-spiffe"}
	return in
}

func BenchmarkDecisionEvent(b *testing.B) {
	mask := filepath.Join(b.TempDir(), "mask.rego")
	if err := os.WriteFile(mask, []byte("package m2m.log\n\nmask contains \"/input/client/attributes/team\"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel))
	in, d := tokenDecision(b)
	for name, paths := range map[string][]string{"plain": nil, "masked": {mask}} {
		b.Run(name, func(b *testing.B) {
			engine, err := policy.Load(policy.Config{Paths: paths, Timeout: 20 * time.Second})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(engine.Close)
			b.ReportAllocs()
			for b.Loop() {
				if err := TokenEvent(in, d).Write(b.Context(), logger.Check(zap.InfoLevel, "token decision"), engine); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func requestDecision(tb testing.TB) (*policy.RequestInput, *policy.RequestDecision) {
	return &policy.RequestInput{
			Issuer: "https://auth.example.com",
			Request: policy.ProxiedRequest{
				Method: "PUT", Host: "api.example.com", Path: []string{"books", "a/b"}, RemoteIP: "192.0.2.1",
				Route:   policy.Route{Pattern: "PUT /books/{id}", Parameters: map[string]string{"id": "a/b", "a": "1"}},
				Headers: map[string][]string{"x-tenant": {"acme", "b"}, "x-a": {}},
			},
			Token: policy.Token{
				ClientID: "ci-bot", Subject: "ci-bot", Scopes: scopesOf(tb, "book:edit"),
				Claims: map[string]any{"aud": []any{"a", "b"}, "exp": json.Number("1795457575"), "nested": map[string]any{"list": []any{true, json.Number("1"), []any{}, map[string]any{}, nil}}},
			},
			Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		}, &policy.RequestDecision{
			Denied: []string{"at night"}, Observed: []string{"not from the office"}, Required: scopesOf(tb, "shelf:read"),
			Headers: map[string]string{"X-Tenant": "acme"}, Revision: "r1",
		}
}

// written is an event as the log has it, by a policy with these rules of m2m.log.
func written(t *testing.T, e *Event, masks string) (map[string]json.RawMessage, error) {
	t.Helper()
	cfg := policy.Config{Timeout: 20 * time.Second}
	if masks != "" {
		cfg.Paths = []string{filepath.Join(t.TempDir(), "mask.rego")}
		if err := os.WriteFile(cfg.Paths[0], []byte("package m2m.log\n\n"+masks+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := policy.Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	var out bytes.Buffer
	logger := logmask.Logger(zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.InfoLevel)))
	err = e.Write(t.Context(), logger.Check(zap.InfoLevel, "decision"), engine)
	line := make(map[string]json.RawMessage)
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%s: %v", out.String(), err)
	}
	return line, err
}

// mustWrite is like written, and fails the test on an error.
func mustWrite(t *testing.T, e *Event, masks string) map[string]json.RawMessage {
	t.Helper()
	line, err := written(t, e, masks)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// TestDecisionsOfTestsAreComplete: the tests below find a field that the log leaves out only if it is set.
func TestDecisionsOfTestsAreComplete(t *testing.T) {
	token := exchanged(t)
	request, _ := requestDecision(t)
	fields := make(map[string]bool)
	noteFields(fields, reflect.ValueOf(*token))
	noteFields(fields, reflect.ValueOf(*request))
	for field, isSet := range fields {
		if !isSet {
			t.Errorf("%s is never set", field)
		}
	}
	if len(fields) < 30 {
		t.Errorf("the inputs have only the fields %v", fields)
	}
}

// noteFields notes the fields of structs in a value, and whether they are set.
func noteFields(fields map[string]bool, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			name := v.Type().String() + "." + v.Type().Field(i).Name
			fields[name] = fields[name] || !v.Field(i).IsZero()
			noteFields(fields, v.Field(i))
		}
	case reflect.Pointer:
		noteFields(fields, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			noteFields(fields, v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			noteFields(fields, v.MapIndex(key))
		}
	}
}

// TestLoggedInputs: what is written by hand is what encoding/json would write, and is read as it was.
func TestLoggedInputs(t *testing.T) {
	in, d := tokenDecision(t)
	empty := &policy.TokenInput{Client: new(policy.Client), Time: time.Unix(1, 0)}
	for _, in := range []*policy.TokenInput{in, exchanged(t), empty} {
		line := mustWrite(t, TokenEvent(in, d), "")
		sameJSON(t, line["input"], in)
	}
	line := mustWrite(t, TokenEvent(in, d), "")
	read, err := policy.ParseTokenInput(line["input"])
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, line["input"], read)
	sameJSON(t, line["result"], map[string]any{
		"granted": d.Granted, "rejected": []map[string]string{{"scope": "film:1:edit", "reason": "no grant covers it"}},
		"observed":       []map[string]string{{"scope": "book:1:read", "reason": "at night"}},
		"beyond_subject": []map[string]string{{"scope": "book:1:read", "reason": "of the catalogue"}}, "claims": d.Claims, "ttl": 300,
	})
	if got := string(line["timestamp"]); got != `"2026-01-02T02:04:05.678901234Z"` {
		t.Errorf("the timestamp is %s", got)
	}
}

func TestLoggedRequests(t *testing.T) {
	in, d := requestDecision(t)
	line := mustWrite(t, RequestEvent(in, d), "")
	sameJSON(t, line["input"], in)
	sameJSON(t, line["result"], map[string]any{"denied": d.Denied, "observed": d.Observed, "required": []string{"shelf:read"}, "headers": d.Headers})
	for name, want := range map[string]string{"path": `"m2m/request"`, "client_id": `"ci-bot"`, "requested_by": `"192.0.2.1"`, "revision": `"r1"`, "labels": `{"issuer":"https://auth.example.com"}`} {
		if got := string(line[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	line = mustWrite(t, RequestEvent(&policy.RequestInput{}, &policy.RequestDecision{}), "")
	sameJSON(t, line["input"], policy.RequestInput{})
	sameJSON(t, line["result"], map[string]any{"denied": nil, "required": nil, "headers": nil})
}

// TestCredentialsInDecisions: they are masked wherever they stand, the line says where, and the policy's input is as it was.
func TestCredentialsInDecisions(t *testing.T) {
	secret := registry.NewSecret()
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	for value, want := range map[string]string{
		"acme": "acme", "1.2.3": "1.2.3", "eyJ.a": "eyJ.a", "api.example.com": "api.example.com",
		jwt: "[token]", "Bearer " + jwt: "Bearer [token]", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.": "[token]",
		secret: "[secret]", "key=" + secret: "key=[secret]", secret[:len(secret)-1] + "!": "[secret]!", "a%2E" + jwt: "a%2E[token]",
	} {
		in, d := credentialDecision(value)
		for _, masks := range []string{"", `mask contains {"op": "upsert", "path": "/input/issuer", "value": "x"}`} {
			line := mustWrite(t, RequestEvent(in, d), masks)
			wantIn, wantD := credentialDecision(want)
			if masks != "" {
				wantIn.Issuer = "x"
			}
			sameJSON(t, line["input"], wantIn)
			sameJSON(t, line["result"], map[string]any{"denied": wantD.Denied, "headers": wantD.Headers, "required": nil})
			masked := string(line["masked"])
			if strings.Contains(masked, `"/input/issuer"`) != (masks != "") {
				t.Errorf("%s: masked is %s", value, masked)
			}
			for _, pointer := range []string{
				"/input/request/path/0", "/input/request/headers/x-tenant/1", "/input/request/route/parameters/id", "/input/token/client_id",
				"/input/token/claims/list/0/" + want, "/input/token/claims/name", "/result/denied/0", "/result/headers/X-Tenant", "/client_id",
			} {
				if strings.Contains(masked, `"`+pointer+`"`) != (value != want) {
					t.Errorf("%s: masked is %s, and %s is or is not among them", value, masked, pointer)
				}
			}
		}
		if unchanged, _ := credentialDecision(value); !reflect.DeepEqual(in, unchanged) {
			t.Errorf("%s: the policy sees %v", value, in)
		}
	}
}

// credentialDecision has a text wherever a caller, the issuer of the token or the policy can put it.
func credentialDecision(text string) (*policy.RequestInput, *policy.RequestDecision) {
	return &policy.RequestInput{
			Request: policy.ProxiedRequest{
				Method: "GET", Path: []string{text}, Headers: map[string][]string{"x-tenant": {"first", text}},
				Route: policy.Route{Pattern: "/{id}", Parameters: map[string]string{"id": text}},
			},
			Token: policy.Token{ClientID: text, Subject: text, Claims: map[string]any{"name": text, "list": []any{map[string]any{text: json.Number("1")}}}},
		}, &policy.RequestDecision{
			Denied: []string{text}, Headers: map[string]string{"X-Tenant": text},
		}
}

// TestPrivateKeyInClaims: the private members of a JWK are masked, and its public ones are not.
func TestPrivateKeyInClaims(t *testing.T) {
	claims := map[string]any{"cnf": map[string]any{"jwk": map[string]any{"kty": "EC", "x": "abc", "d": "short"}}}
	line := mustWrite(t, RequestEvent(&policy.RequestInput{Token: policy.Token{Claims: claims}}, new(policy.RequestDecision)), "")
	if got := string(line["input"]); !strings.Contains(got, `"jwk":{"d":"[secret]","kty":"EC","x":"abc"}`) || string(line["masked"]) != `["/input/token/claims/cnf/jwk/d"]` {
		t.Errorf("the line has %s, masked %s", got, line["masked"])
	}
}

// sameJSON compares JSON with what encoding/json writes; an empty list or object is as good as null.
func sameJSON(t *testing.T, got json.RawMessage, want any) {
	t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var left, right any
	if err := errors.Join(json.Unmarshal(got, &left), json.Unmarshal(text, &right)); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if !reflect.DeepEqual(withoutEmpty(left), withoutEmpty(right)) {
		t.Errorf("got  %s\nwant %s", got, text)
	}
}

func withoutEmpty(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			value[name] = withoutEmpty(member)
		}
		if len(value) == 0 {
			return nil
		}
	case []any:
		for i, element := range value {
			value[i] = withoutEmpty(element)
		}
		if len(value) == 0 {
			return nil
		}
	}
	return value
}

// TestMaskedEvents: what is masked in the input is masked wherever the line repeats it.
func TestMaskedEvents(t *testing.T) {
	for name, test := range map[string]struct {
		masks       string
		gone, there []string
	}{
		"the client":   {`mask contains "/input/client/id"`, []string{"ci-bot"}, []string{`"requested_by":"192.0.2.1"`, `"erased":["/input/client/id"]`, "Nightly", `"granted"`}},
		"the address":  {`mask contains "/input/request/remote_ip"`, []string{"192.0.2.1"}, []string{`"client_id":"ci-bot"`}},
		"the issuer":   {`mask contains "/input/issuer"`, []string{"auth.example.com"}, []string{`"labels":{}`}},
		"all of it":    {`mask contains "/input"`, []string{"ci-bot", "192.0.2.1", "auth.example.com"}, []string{`"granted"`, `"decision_id":"D1"`, `"jti":"J1"`}},
		"a pseudonym":  {`mask contains {"op": "upsert", "path": "/input/client/id", "value": concat("", ["x", "-", crypto.md5(input.client_id)])}`, []string{"ci-bot"}, []string{`"client_id":"x-`, `"masked":["/input/client/id"]`}},
		"no text":      {`mask contains {"op": "upsert", "path": "/input/client/id", "value": 7}`, []string{"ci-bot", `"client_id"`}, []string{`"id":7`}},
		"a claim":      {`mask contains "/result/claims/team"`, nil, []string{`"claims":{}`, `"team":"catalogue"`}},
		"the result":   {`mask contains "/result"`, []string{"granted"}, []string{`"input"`}},
		"what it sees": {`mask contains "/input" if {input.decision_id == "D1"; input.path == "m2m/token"; input.jti == "J1"; input.labels.issuer; input.timestamp; input.revision; input.requested_by; input.metrics}`, []string{"ci-bot"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in, d := tokenDecision(t)
			e := TokenEvent(in, d)
			e.ID, e.More = "D1", []zap.Field{zap.String("jti", "J1")}
			line := mustWrite(t, e, test.masks)
			lineHas(t, line, test.gone, test.there)
			if before, _ := tokenDecision(t); !reflect.DeepEqual(jsonOf(t, in), jsonOf(t, before)) {
				t.Error("the input itself was changed")
			}
		})
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func lineHas(t *testing.T, line map[string]json.RawMessage, gone, there []string) {
	t.Helper()
	text, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range gone {
		if bytes.Contains(text, []byte(part)) {
			t.Errorf("%s is in %s", part, text)
		}
	}
	for _, part := range there {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("%s is not in %s", part, text)
		}
	}
}

// TestMaskThatFails: nothing that it may have meant to mask is written.
func TestMaskThatFails(t *testing.T) {
	for name, mask := range map[string]string{
		"malformed": `mask contains concat("", ["input/", input.input.client.id])`,
		"failing":   `mask contains "/input" if to_number(input.client_id) > 3`,
	} {
		t.Run(name, func(t *testing.T) {
			in, d := tokenDecision(t)
			e := TokenEvent(in, d)
			e.ID, e.More = "D1", []zap.Field{zap.String("jti", "J1")}
			line, err := written(t, e, mask)
			var fault *policy.Error
			if !errors.As(err, &fault) {
				t.Fatalf("got %v", err)
			}
			lineHas(t, line, []string{"ci-bot", "192.0.2.1", "auth.example.com", `"input"`, `"result"`, "book:"}, []string{`"decision_id":"D1"`, `"jti":"J1"`, "mask.rego:3"})
			if line["mask_error"] == nil {
				t.Error("the line does not say why")
			}
		})
	}
	in, d := requestDecision(t)
	if line, err := written(t, RequestEvent(in, d), `mask contains "/input/token/client_id"`); err != nil || line["client_id"] != nil || line["requested_by"] == nil {
		t.Errorf("got %s, %v", line, err)
	}
}
