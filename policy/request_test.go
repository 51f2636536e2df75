package policy

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// proxied is a request of ci-bot to a door.
func proxied(tb testing.TB) RequestInput {
	tb.Helper()
	return RequestInput{
		Issuer: "https://auth.example.com",
		Request: ProxiedRequest{
			Method: "PUT", Host: "api.example.com", Path: []string{"books", "1"}, RemoteIP: "192.0.2.1",
			Route:   Route{Pattern: "PUT /books/{id}", Parameters: map[string]string{"id": "1"}},
			Headers: map[string][]string{"x-tenant": {"acme"}},
		},
		Token: Token{
			ClientID: "ci-bot", Subject: "ci-bot", Scopes: parse(tb, "book:*:edit"),
			Claims: map[string]any{"client_id": "ci-bot", "tenant": "acme"},
		},
	}
}

func TestRequestDecision(t *testing.T) {
	e := loadFiles(t, map[string]string{
		"a.rego": `package m2m.request

denied contains {"reason": "of another tenant"} if not input.token.claims.tenant in object.get(input.request.headers, "x-tenant", [])
denied contains {"reason": "at night"} if time.clock(time.now_ns())[0] < 6
observed contains {"reason": "not from the office"} if not net.cidr_contains("10.0.0.0/8", input.request.remote_ip)
required contains sprintf("shelf:%s:lock", [input.request.route.parameters.id]) if input.request.method == "PUT"
headers["X-Tenant"] := input.token.claims.tenant
`,
		"b.rego": `package m2m.request

required contains "shelf:read" if input.request.path[0] == "books"
headers["X-Pattern"] := input.request.route.pattern
`,
	})
	if err := e.RequireRequests(); err != nil {
		t.Error(err)
	}
	in := proxied(t)
	in.Time = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	d, err := e.DecideRequest(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var required []string
	for _, s := range d.Required {
		required = append(required, s.String())
	}
	if d.Denied != nil || !slices.Equal(d.Observed, []string{"not from the office"}) || !slices.Equal(required, []string{"shelf:1:lock", "shelf:*:read"}) ||
		!maps.Equal(d.Headers, map[string]string{"X-Tenant": "acme", "X-Pattern": "PUT /books/{id}"}) || d.Revision != e.Revision() {
		t.Errorf("got %+v", d)
	}
	in.Time = time.Date(2026, 1, 1, 5, 0, 0, 0, time.UTC)
	in.Request.Headers = nil
	if d, err = e.DecideRequest(t.Context(), in); err != nil || !slices.Equal(d.Denied, []string{"at night", "of another tenant"}) {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestRequestDecisionOfNoRule(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	_, err := e.DecideRequest(t.Context(), proxied(t))
	wantKind(t, err, NoRule, "no rule of package m2m.request")
	if err := e.RequireRequests(); err == nil {
		t.Error("it reports that it judges requests")
	}
}

func TestRequestDecisionFails(t *testing.T) {
	for name, test := range map[string]struct {
		rule string
		kind Kind
		part string
	}{
		"denied holds a text":       {`denied contains "no"`, WrongType, `denied (`},
		"denied holds too much":     {`denied contains {"reason": "no", "scope": "x"}`, WrongType, `which is not {"reason": …}`},
		"denied for a number":       {`denied contains {"reason": 1}`, WrongType, `{"reason": string}`},
		"observed holds a text":     {`observed contains "no"`, WrongType, `observed (`},
		"required is malformed":     {`required contains "a::b"`, WrongType, "required ("},
		"required is a number":      {`required contains 1`, WrongType, "a number, which is not a string"},
		"a header that is a number": {`headers["X-A"] := 1`, WrongType, "headers ("},
		"two values of a header":    {"headers[\"X-A\"] := \"1\"\nheaders[\"X-A\"] := \"2\"", Conflict, "headers"},
		"a builtin that fails":      {`denied contains {"reason": "x"} if to_number(input.request.host) > 3`, Eval, "to_number"},
	} {
		t.Run(name, func(t *testing.T) {
			e := loadFiles(t, map[string]string{"a.rego": "package m2m.request\n\n" + hidden(test.rule, test.kind) + "\n"})
			_, err := e.DecideRequest(t.Context(), proxied(t))
			wantKind(t, err, test.kind, test.part)
		})
	}
}

// TestObservedRejectsNothing: a rule on trial is reported, and not obeyed.
func TestObservedRejectsNothing(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": `package m2m.token
observed contains {"scope": s.raw, "reason": "too wide"} if {
	some s in input.scopes
	s.identifier == "*"
}
`})
	d := decide(t, e, request(t, "book:*:read", "book:1:read"))
	if got := summary(d); got != "book:*:read book:1:read | " {
		t.Error(got)
	}
	if !slices.Equal(d.Observed, []Rejection{{"book:*:read", "too wide"}}) {
		t.Errorf("observed %v", d.Observed)
	}
}

// TestTimeOfADecision: a decision can be made as it would have been at another time.
func TestTimeOfADecision(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\nclaims.at := time.now_ns()\n"})
	in := request(t, "book:1:read")
	in.Time = time.Unix(1_700_000_000, 5)
	if got := decide(t, e, in).Claims["at"]; got == nil || got.(interface{ String() string }).String() != "1700000000000000005" {
		t.Errorf("it was %v", got)
	}
}
