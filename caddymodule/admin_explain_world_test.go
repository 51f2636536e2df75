package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// trialPolicy is an author's: it rejects, observes, shortens and claims.
const trialPolicy = `package m2m.token

rejected contains {"scope": s.raw, "reason": "read only at night"} if {
	some s in input.scopes
	s.action == "edit"
	time.clock(time.now_ns())[0] >= 6
}

observed contains {"scope": s.raw, "reason": "too wide"} if {
	some s in input.scopes
	s.identifier == "*"
}

claims.team := input.client.attributes.team

claims[{"forger": "iss"}[input.client.attributes.team]] := "x"

ttl contains 60 if input.request.remote_ip == "192.0.2.1"

default_scopes contains "book:*:read"

granted contains "lost:1:read" if input.client.id == "ci-bot"

ttl contains to_number(input.client.attributes.team) if input.client.id == "broken"
`

// explainWorld is an admin world whose policy is trialPolicy, with two doors.
func explainWorld(t *testing.T) *adminWorld {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "trial.rego"), []byte(trialPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newAdmin(t)
	config := w.config("policy "+dir+" {\ntimeout 20s\n}", "audience https://api.example.com") + fmt.Sprintf(`
http://localhost:%d {
	m2m_auth {
		require GET /books/{id} book:{id}:read
		require PUT /books/{id} book:{id}:edit shelf:{id}:lock
		require api.example.com/admin book:*:*
		public GET /healthz
		require GET /projects/{id} book:{id}:read {
			encoded_slash
		}
	}
}
http://localhost:%d {
	m2m_auth {
		audience https://films.example.com
	}
}
`, servertest.FreePort(t), servertest.FreePort(t))
	config = strings.Replace(config, "m2m_issuer "+w.issuer, "m2m_issuer", 1)
	if err := w.Load(config); err != nil {
		t.Fatalf("starting Caddy: %v", err)
	}
	w.want(201, "POST", "/m2m/resources", `{"code": "book", "actions": {"read": "", "edit": ""}}`)
	w.want(201, "POST", "/m2m/resources", `{"code": "film", "audience": "https://films.example.com", "actions": {"read": ""}}`)
	w.want(201, "POST", "/m2m/clients", `{"id": "ci-bot", "attributes": {"team": "catalogue"}, "audiences": ["https://api.example.com"],
		"grants": [{"resource": "book", "identifiers": ["*"], "actions": ["read"]}, {"resource": "book", "identifiers": ["7"], "actions": ["edit"]},
			{"resource": "film", "identifiers": ["*"], "actions": ["read"]},
			{"resource": "book", "identifiers": ["secret-*"], "actions": ["*"], "effect": "deny"}]}`)
	return w
}

// told is what the API explains, with the members that tests look at.
type told struct {
	Passes   bool
	Refusals []struct{ Reason, Description string }
	Notes    []string
	Scopes   []struct {
		Scope, Reason, Observed string
		Granted                 bool
		Causes                  []cause
		Notes                   []string
	}
	Audience []string
	TTL      struct {
		Seconds int
		From    string
		Causes  []cause
	}
	Claims []struct {
		Name   string
		Value  any
		Causes []cause
	}
	Trace *struct{ Lines []string }
	Doors []struct {
		Door, Requirements, Status int
		Reason, Pattern            string
		Audience                   []string
		Observes                   bool
		Policy                     *policy.RequestExplanation
		LetThrough                 bool `json:"let_through"`
		Required                   []struct {
			Scope   string
			Covered string `json:"covered_by"`
		}
	}
}

type cause struct {
	Rule, Reason, File string
	Line               int
}

// String has the line of an author's rule; those that ship move.
func (c cause) String() string {
	if strings.HasPrefix(c.File, "shipped://") {
		return c.Rule + " " + filepath.Base(c.File)
	}
	return fmt.Sprintf("%s %s:%d", c.Rule, filepath.Base(c.File), c.Line)
}

func (w *adminWorld) explain(body string) told {
	w.t.Helper()
	answer := w.want(200, "POST", "/m2m/explain", body)
	var t told
	if err := json.Unmarshal(answer.body, &t); err != nil {
		w.t.Fatal(err)
	}
	return t
}

const atNoon = `"time": "2030-01-01T12:00:00Z"`
