package policy

import (
	"slices"
	"strings"
	"testing"
)

// workload is an identity that the registry lists for one client.
func workload() IdentityInput {
	return IdentityInput{
		Issuer: "https://auth.example.com",
		Identity: Identity{
			Issuer: "https://token.actions.githubusercontent.com", Subject: "repo:acme/books:environment:production", Type: "jwt", KeyID: "k1",
			Claims: map[string]any{"environment": "production", "repository": "acme/books"},
		},
		Clients: []string{"books-deployer"},
		Request: IdentityRequest{RemoteIP: "192.0.2.1", GrantType: "client_credentials"},
	}
}

func identify(t *testing.T, e *Engine, in IdentityInput) IdentityDecision {
	t.Helper()
	d, err := e.DecideIdentity(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestIdentityOfTheRegistry: the shipped policy maps an identity to what the registry lists, and nothing else.
func TestIdentityOfTheRegistry(t *testing.T) {
	for _, off := range []bool{false, true} {
		e := load(t, Config{NoDefaults: off, Timeout: generous})
		for _, listed := range [][]string{nil, {"a"}, {"a", "b"}} {
			in := workload()
			in.Clients = listed
			if d := identify(t, e, in); !slices.Equal(d.Clients, listed) || d.Denied != nil || d.Revision != e.Revision() {
				t.Errorf("the registry lists %q, the decision is %+v", listed, d)
			}
		}
	}
}

func TestIdentityRules(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.identity

clients contains concat("-", [split(input.identity.claims.repository, "/")[1], input.identity.claims.environment])

denied contains {"reason": "not from the network of the runners"} if {
	input.identity.issuer == "https://token.actions.githubusercontent.com"
	not net.cidr_contains("192.0.2.0/24", input.request.remote_ip)
}

denied contains {"reason": "exchange only"} if input.request.grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer"
`})
	in := workload()
	if d := identify(t, e, in); !slices.Equal(d.Clients, []string{"books-deployer", "books-production"}) || d.Denied != nil {
		t.Errorf("got %+v", d)
	}
	in.Clients = nil
	if d := identify(t, e, in); !slices.Equal(d.Clients, []string{"books-production"}) {
		t.Errorf("got %+v", d)
	}
	in.Request.RemoteIP, in.Request.GrantType = "198.51.100.1", "urn:ietf:params:oauth:grant-type:jwt-bearer"
	if d := identify(t, e, in); !slices.Equal(d.Denied, []string{"exchange only", "not from the network of the runners"}) {
		t.Errorf("got %+v", d)
	}
}

// TestBadIdentityRules: rules whose values are unfit for the contract are errors on load, or when they apply.
func TestBadIdentityRules(t *testing.T) {
	for rule, want := range map[string]string{
		`clients := {"a"}`:                             "clients is a partial rule: write clients contains id if { … }",
		`clients contains 1`:                           "clients holds a number, which is not a string",
		`denied contains "no"`:                         `denied holds a string, which is not {"reason": …}`,
		`clients contains input.identity.claim.x`:      "undefined ref: input.identity.claim.x",
		`client contains "a"`:                          `did you mean "clients"?`,
		`allow if input.identity.subject`:              `did you mean "clients"?`,
		`deny contains {"reason": "x"}`:                `did you mean "denied"?`,
		`denied contains {"reason": input.client.id}`:  "undefined ref: input.client.id",
		`clients contains http.send({}).body.client`:   "http.send is not available",
		`clients contains opa.runtime().env.CLIENT_ID`: "opa.runtime is not available",
	} {
		_, err := Load(Config{Paths: []string{write(t, map[string]string{"a.rego": "package m2m.identity\n\n" + rule + "\n"})}})
		wantParts(t, err, want, "a.rego:3")
	}
	for rule, want := range map[string]string{
		`clients contains input.identity.claims.number`:               "holds a number, which is not a string",
		`clients contains input.identity.claims.empty`:                "holds an empty client_id",
		`denied contains {"reason": input.identity.claims.number}`:    `holds an object that is not {"reason": string}`,
		`clients contains object.get({"a": {"b"}}, input.issuer, {})`: "holds an object, which is not a string",
	} {
		e := loadFiles(t, map[string]string{"a.rego": "package m2m.identity\n\n" + rule + "\n"})
		in := workload()
		in.Identity.Claims["number"], in.Identity.Claims["empty"] = 1, ""
		_, err := e.DecideIdentity(t.Context(), in)
		wantKind(t, err, WrongType, want, "a.rego:3")
	}
	in := workload()
	in.Identity.Claims["f"] = func() {}
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.identity\n\nclients contains \"a\"\n"})
	_, err := e.DecideIdentity(t.Context(), in)
	wantKind(t, err, Eval, "identity: claims")
}

// TestExplainIdentity names the rules, and agrees with the decision.
func TestExplainIdentity(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.identity

clients contains "books-deployer" if input.identity.claims.repository == "acme/books"

clients contains "other"

denied contains {"reason": "not this week"} if input.request.remote_ip == "192.0.2.9"
`})
	in := workload()
	in.Clients = []string{"listed"}
	in.Request.RemoteIP = "192.0.2.9"
	x, err := e.ExplainIdentity(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	d := identify(t, e, in)
	if !slices.Equal(x.Decision.Clients, d.Clients) || !slices.Equal(x.Decision.Denied, d.Denied) || x.Revision != d.Revision {
		t.Errorf("the explanation says %+v, the decision %+v", x.Decision, d)
	}
	for i, line := range []int{3, 0, 5} {
		client := x.Clients[i]
		if line == 0 != (len(client.Causes) == 0) {
			t.Errorf("%s has the causes %+v", client.Name, client.Causes)
		}
		for _, cause := range client.Causes {
			if cause.Line != line || !strings.HasSuffix(cause.File, "a.rego") {
				t.Errorf("%s has the cause %+v", client.Name, cause)
			}
		}
	}
	if len(x.Denied) != 1 || x.Denied[0].Line != 7 || x.Denied[0].Reason != "not this week" {
		t.Errorf("denied: %+v", x.Denied)
	}
}

// TestPartyIsNotCached: a decision that reads the subject or the actor of a request is evaluated; any other is cached.
func TestPartyIsNotCached(t *testing.T) {
	reads := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n\nclaims.of := input.subject.subject\n\nclaims.by := input.actor.subject\n"})
	plain := load(t, Config{Timeout: generous})
	in := request(t, "book:1:read")
	for _, subject := range []string{"a", "b", "", "a"} {
		in.Subject, in.Actor = nil, nil
		if subject != "" {
			in.Subject = &Party{Subject: subject}
		}
		decide(t, plain, in)
		for range 2 {
			if got, _ := decide(t, reads, in).Claims["of"].(string); got != subject {
				t.Errorf("the claim is %q, want %q", got, subject)
			}
		}
		in.Actor = &Party{Subject: subject}
		if got := decide(t, reads, in).Claims["by"]; got != subject {
			t.Errorf("the claim is %q, want %q", got, subject)
		}
	}
	wantUse(t, reads, tokenQuery, 1, 1, 10)
	wantUse(t, plain, tokenQuery, 3, 1, 0)
}
