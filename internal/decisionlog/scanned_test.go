package decisionlog

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// unchecked is an event of which the logger does not know whether it was scanned.
type unchecked struct{ event *Event }

func (u unchecked) MarshalLogObject(line zapcore.ObjectEncoder) error {
	return u.event.MarshalLogObject(line)
}

// TestScannedOnce compares lines of clients and resources that were scanned once with lines for which everything is scanned,
// by Write and by the logger, byte for byte.
func TestScannedOnce(t *testing.T) {
	engine, err := policy.Load(policy.Config{Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	var out bytes.Buffer
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"})
	logger := logmask.Logger(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.InfoLevel)))
	line := func(write func(*zapcore.CheckedEntry)) string {
		out.Reset()
		write(logger.Check(zap.InfoLevel, "decision"))
		return out.String()
	}
	seed := rand.Uint64()
	m := maker{Rand: rand.New(rand.NewPCG(seed, 0))}
	masked, cut := 0, 0
	for range 100 {
		m.credentials = m.IntN(3) == 0
		in, d, more := m.input(), m.decision(), zap.String("jti", m.text())
		event := func(in *policy.TokenInput) *Event {
			e := TokenEvent(in, d)
			e.ID, e.More, e.took = "D1", []zap.Field{more}, time.Second
			return e
		}
		want := line(func(c *zapcore.CheckedEntry) {
			e := event(fresh(in))
			size, found := logmask.Scan(e.input, e.result)
			if found {
				e.hide()
			}
			if e.changes != nil {
				size, _ = logmask.Scan(e.fields()...)
			}
			if size > maxDecision {
				e.cut()
			}
			c.Write(zap.Inline(unchecked{e}))
		})
		for range 3 {
			got := line(func(c *zapcore.CheckedEntry) {
				if err := event(in).Write(t.Context(), c, engine); err != nil {
					t.Fatal(err)
				}
			})
			if got != want {
				t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want)
			}
		}
		if strings.Contains(want, `"masked":[`) {
			masked++
		}
		if strings.Contains(want, `"cut":{`) {
			cut++
		}
	}
	if masked < 5 || cut < 5 {
		t.Errorf("seed %d: of 100 lines %d were masked and %d cut", seed, masked, cut)
	}
}

// fresh returns an input whose client and resources have not been scanned.
func fresh(in *policy.TokenInput) *policy.TokenInput {
	c := in.Client
	copied := *in
	copied.Client = &policy.Client{ID: c.ID, AuthMethod: c.AuthMethod, Description: c.Description, Attributes: c.Attributes, Audiences: c.Audiences, Networks: c.Networks, Grants: c.Grants}
	copied.Resources = make(map[string]*policy.Resource)
	for code, r := range in.Resources {
		copied.Resources[code] = &policy.Resource{Actions: r.Actions, Audience: r.Audience, Attributes: r.Attributes}
	}
	return &copied
}

// maker makes random events.
type maker struct {
	*rand.Rand
	credentials bool
}

func (m maker) text() string {
	texts := []string{
		"", "read", "https://api.example.com", "a \"b\" \\ <&>", "\u2028é", "\xff\x00", strings.Repeat("x", m.IntN(300)), "bearer of news", "d", "use",
	}
	if m.credentials {
		texts = append(texts, "m2m_"+strings.Repeat("a1", 25), "Bearer abcdefgh12345", "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln", "kty", "https://u:pass@h/")
	}
	return texts[m.IntN(len(texts))]
}

func (m maker) texts() []string {
	var texts []string
	for range m.IntN(4) {
		texts = append(texts, m.text())
	}
	return texts
}

func (m maker) value(depth int) any {
	kinds := 7
	if depth == 0 {
		kinds = 4
	}
	switch m.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return m.IntN(2) == 0
	case 2:
		return json.Number("1.5")
	case 3:
		return m.text()
	case 4:
		list := []any{}
		for range m.IntN(4) {
			list = append(list, m.value(depth-1))
		}
		return list
	}
	return m.object(depth - 1)
}

func (m maker) object(depth int) map[string]any {
	object := map[string]any{}
	for range m.IntN(12) {
		object[m.text()] = m.value(depth)
	}
	return object
}

func (m maker) scopes() (scopes []scope.Scope) {
	for range m.IntN(4) {
		scopes = append(scopes, scope.Scope{Raw: m.text(), Resource: m.text(), Identifier: m.text(), Action: m.text()})
	}
	return scopes
}

func (m maker) rejections() (all []policy.Rejection) {
	for range m.IntN(3) {
		all = append(all, policy.Rejection{Scope: m.text(), Reason: m.text()})
	}
	return all
}

func (m maker) input() *policy.TokenInput {
	client := &policy.Client{ID: m.text(), AuthMethod: m.text(), Description: m.text(), Attributes: m.object(3), Audiences: m.texts(), Networks: m.texts()}
	grants := m.IntN(3)
	if m.IntN(4) == 0 {
		grants = 200
	}
	for range grants {
		client.Grants = append(client.Grants, scope.Grant{Resource: m.text(), Identifiers: m.texts(), Actions: m.texts(), Deny: m.IntN(2) == 0})
	}
	resources := make(map[string]*policy.Resource)
	for range m.IntN(12) {
		resources[m.text()] = &policy.Resource{Actions: m.texts(), Audience: m.text(), Attributes: m.object(2)}
	}
	return &policy.TokenInput{
		Issuer: m.text(), Client: client, Scopes: m.scopes(), Resources: resources, Time: time.Unix(m.Int64N(1e9), 0),
		Request: policy.TokenRequest{RemoteIP: m.text(), AuthMethod: m.text(), Audience: m.texts()},
	}
}

func (m maker) decision() *policy.TokenDecision {
	d := &policy.TokenDecision{Granted: m.texts(), Rejected: m.rejections(), Observed: m.rejections(), TTL: time.Duration(m.Int64N(1e12)), Revision: m.text()}
	for range m.IntN(3) {
		d.BeyondSubject = append(d.BeyondSubject, policy.Widening{Scope: m.text(), Reason: m.text()})
	}
	if m.IntN(2) == 0 {
		d.Claims = m.object(2)
	}
	return d
}
