package policy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// generous is a timeout for tests that are not about time.
const generous = 20 * time.Second

func TestShippedPolicy(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	tests := []struct {
		name string
		edit func(*TokenInput)
		ask  []string
		want string
	}{
		{name: "partly", ask: []string{"book:*:read", "book:*:edit"}, want: "book:*:read | book:*:edit (no grant covers it)"},
		{name: "request order", ask: []string{"book:2:read", "book:1:edit", "book:1:read"}, want: "book:2:read book:1:read | book:1:edit (no grant covers it)"},
		{name: "echoed as written", ask: []string{"book:read"}, want: "book:read | "},
		{name: "unknown resource", ask: []string{"film:1:read"}, want: " | film:1:read (unknown resource)"},
		{name: "unknown action", ask: []string{"book:1:burn"}, want: " | book:1:burn (unknown action)"},
		{name: "any resource takes a grant on any", ask: []string{"*", "*:*:read"}, want: " | * (no grant covers it), *:*:read (no grant covers it)"},
		{name: "no scopes", want: " | "},
		{
			name: "deny overlaps", ask: []string{"book:*:read", "book:secret-1:read", "book:1:read"},
			edit: func(in *TokenInput) { in.Client.Grants = append(in.Client.Grants, deny("book", "secret-*", "*")) },
			want: "book:1:read | book:*:read (denied by a grant), book:secret-1:read (denied by a grant)",
		},
		{
			name: "no grants", ask: []string{"book:1:read"},
			edit: func(in *TokenInput) { in.Client.Grants = nil },
			want: " | book:1:read (no grant covers it)",
		},
		{
			name: "from a network of the client", ask: []string{"book:1:read", "book:1:edit"},
			edit: func(in *TokenInput) { in.Client.Networks = []string{"198.51.100.0/24", "192.0.2.0/24"} },
			want: "book:1:read | book:1:edit (no grant covers it)",
		},
		{
			name: "from another network", ask: []string{"book:1:read", "film:1:read"},
			edit: func(in *TokenInput) { in.Client.Networks = []string{"198.51.100.0/24", "2001:db8::/32"} },
			want: " | book:1:read (source network), film:1:read (source network; unknown resource)",
		},
		{
			name: "from nowhere", ask: []string{"book:1:read"},
			edit: func(in *TokenInput) { in.Client.Networks, in.Request.RemoteIP = []string{"0.0.0.0/0", "::/0"}, "" },
			want: " | book:1:read (source network)",
		},
		{
			name: "from an address with a zone", ask: []string{"book:1:read"},
			edit: func(in *TokenInput) { in.Client.Networks, in.Request.RemoteIP = []string{"fe80::/10"}, "fe80::1%eth0" },
			want: " | book:1:read (source network)",
		},
		{
			name: "no resources", ask: []string{"book:1:read"},
			edit: func(in *TokenInput) { in.Resources = nil },
			want: " | book:1:read (unknown resource)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := request(t, test.ask...)
			if test.edit != nil {
				test.edit(&in)
			}
			d := decide(t, e, in)
			if got := summary(d); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if d.Revision != e.Revision() || d.Revision == "" || d.TTL != 0 || len(d.Claims) != 0 {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestManyScopes(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	var raws []string
	for i := range 100 {
		raws = append(raws, fmt.Sprintf("book:%d:read", i))
	}
	if d := decide(t, e, request(t, raws...)); !slices.Equal(d.Granted, raws) || d.Rejected != nil {
		t.Errorf("got %+v", d)
	}
}

// TestRulesOfSeveralFilesMerge has each rule of the contract in two files.
func TestRulesOfSeveralFilesMerge(t *testing.T) {
	e := loadFiles(t, map[string]string{
		"a.rego": `package m2m.token
granted contains "book:1:edit"
granted contains "film:1:read"
granted contains "never:requested:here"
rejected contains {"scope": "book:2:read", "reason": "closed"} if input.client.attributes.team == "catalogue"
default_scopes contains "book:*:read"
claims.team := input.client.attributes.team
ttl contains 600
`,
		"sub/b.rego": `package m2m.token
granted contains "book:2:edit"
rejected contains {"scope": "book:2:read", "reason": "at night"}
rejected contains {"scope": "book:2:edit", "reason": "at night"}
default_scopes contains "book:*:edit"
claims[name] := value if some name, value in {"nested": {"n": [1, 2.5, null, true]}}
ttl contains 60
`,
	})
	d := decide(t, e, request(t, "book:1:read", "book:2:read", "book:1:edit", "book:2:edit", "film:1:read"))
	const want = "book:1:read book:1:edit | book:2:read (at night; closed), book:2:edit (at night), film:1:read (unknown resource)"
	if got := summary(d); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if d.TTL != time.Minute {
		t.Errorf("ttl %v", d.TTL)
	}
	wantClaims := map[string]any{
		"team":   "catalogue",
		"nested": map[string]any{"n": []any{json.Number("1"), json.Number("2.5"), nil, true}},
	}
	if !reflect.DeepEqual(d.Claims, wantClaims) {
		t.Errorf("claims %#v", d.Claims)
	}
	scopes, err := e.DefaultScopes(t.Context(), request(t))
	if err != nil || !slices.Equal(scopes, []string{"book:*:edit", "book:*:read"}) {
		t.Errorf("default scopes %q, %v", scopes, err)
	}
}

func TestNoDefaultScopesUnlessARuleGivesThem(t *testing.T) {
	scopes, err := load(t, Config{Timeout: generous}).DefaultScopes(t.Context(), request(t))
	if err != nil || len(scopes) != 0 {
		t.Errorf("got %q, %v", scopes, err)
	}
}

// TestUnwrittenRulesAreEmpty has rules read rules of the contract that no file has.
func TestUnwrittenRulesAreEmpty(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": `package m2m.token
ttl contains 60 if {
	granted == set()
	rejected == set()
	default_scopes == set()
	claims == {}
}
`})
	e := load(t, Config{Paths: []string{dir}, NoDefaults: true, Timeout: generous})
	if d := decide(t, e, request(t, "book:1:read")); d.TTL != time.Minute || summary(d) != " | book:1:read (not granted)" {
		t.Errorf("got %+v", d)
	}
}

func TestNoDefaults(t *testing.T) {
	if d := decide(t, load(t, Config{NoDefaults: true, Timeout: generous}), request(t, "book:1:read")); summary(d) != " | book:1:read (not granted)" {
		t.Errorf("without any rule: %s", summary(d))
	}
	dir := write(t, map[string]string{"own.rego": `package m2m.token
import data.m2m.grants
import data.m2m.scope
granted contains s.raw if {
	some s in input.scopes
	scope.covers(scope.parse("film:*:read"), s)
}
granted contains raw if some raw in grants.covered
`})
	e := load(t, Config{Paths: []string{dir}, NoDefaults: true, Timeout: generous})
	d := decide(t, e, request(t, "film:1:read", "book:1:read", "film:1:edit"))
	if got, want := summary(d), "film:1:read book:1:read | film:1:edit (not granted)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestInput compares the document that policies see with what the design promises.
func TestInput(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\nclaims.input := input\n"})
	in := request(t, "book:1:read", "film")
	in.Client.Grants = append(in.Client.Grants, deny("book", "secret-*", "*"))
	in.Client.Audiences = []string{"https://api.example.com", "urn:b"}
	in.Client.Networks = []string{"192.0.2.0/24", "2001:db8::/32"}
	got, err := json.Marshal(decide(t, e, in).Claims["input"])
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"client":{"attributes":{"level":3,"team":"catalogue"},"audiences":["https://api.example.com","urn:b"],"auth_method":"client_secret_basic","description":"Nightly import",` +
		`"grants":[{"actions":["read"],"effect":"allow","identifiers":["*"],"resource":"book"},` +
		`{"actions":["*"],"effect":"deny","identifiers":["secret-*"],"resource":"book"}],"id":"ci-bot","networks":["192.0.2.0/24","2001:db8::/32"]},` +
		`"issuer":"https://auth.example.com",` +
		`"request":{"audience":["https://api.example.com"],"auth_method":"client_secret_basic","remote_ip":"192.0.2.1"},` +
		`"resources":{"book":{"actions":["read","edit"],"attributes":{"public":true},"audience":"https://api.example.com"}},` +
		`"scopes":[{"action":"read","identifier":"1","raw":"book:1:read","resource":"book"},` +
		`{"action":"*","identifier":"*","raw":"film","resource":"film"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestInputOfPlainClient: what a client has not is empty, and never missing.
func TestInputOfPlainClient(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\nclaims.client := input.client\n"})
	in := request(t, "book:1:read")
	in.Client = &Client{ID: "plain"}
	got, err := json.Marshal(decide(t, e, in).Claims["client"])
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"attributes":{},"audiences":[],"auth_method":"","description":"","grants":[],"id":"plain","networks":[]}`; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestInputThatIsNotJSON(t *testing.T) {
	in := request(t, "book:1:read")
	in.Client.Attributes = map[string]any{"f": func() {}}
	e := load(t, Config{})
	_, err := e.DecideToken(t.Context(), in)
	wantKind(t, err, Eval, "client: attributes")
	in = request(t, "book:1:read")
	in.Resources["book"] = &Resource{Attributes: map[string]any{"f": make(chan int)}}
	_, err = e.DecideToken(t.Context(), in)
	wantKind(t, err, Eval, "resources: book: attributes")
}

func TestHelperRulesAreNotAsked(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.token
# METADATA
# custom: {library: true}
broken := to_number("x")
# METADATA
# custom: {library: true}
print_me if print("to nobody")
granted contains "book:1:edit" if {
	team := input.client.attributes.team
	print("team", team)
	team == "catalogue"
}
`})
	if got := summary(decide(t, e, request(t, "book:1:edit"))); got != "book:1:edit | " {
		t.Errorf("got %s", got)
	}
}
