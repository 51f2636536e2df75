package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	jwtTokenType    = "urn:ietf:params:oauth:token-type:jwt"
)

// chain is a registry in which a caller's token is exchanged by an API, and by the API behind it.
const chain = `resources:
  book: {actions: {read: "", edit: ""}}
  film: {audience: "https://films.example.com", actions: {read: ""}}
  shelf: {actions: {read: ""}}
clients:
  caller:
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["*"], actions: ["*"]}, {resource: film, identifiers: ["*"], actions: [read]}]
  books-api:
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}, {resource: shelf, identifiers: ["*"], actions: [read]}]
  one-book:
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["1"], actions: ["*"]}]
  almighty:
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: "*", identifiers: ["*"], actions: ["*"]}]
  former:
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  brief:
    secrets: [{id: s1, sha256: HASH}]
    token_ttl: 2s
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  without-grants:
    secrets: [{id: s1, sha256: HASH}]
`

// beyondPolicy lets the API of books go beyond the tokens of its callers.
const beyondPolicy = `package m2m.token

beyond_subject contains {"scope": s.raw, "reason": "books are on shelves"} if {
	input.client.id == "books-api"
	some s in input.scopes
	s.resource == "shelf"
	some has in input.subject.scopes
	has.resource == "book"
}
`

func (w *issuerWorld) exchangeForm(client, subject string, more ...string) string {
	form := url.Values{
		"grant_type": {exchangeGrant}, "client_id": {client}, "client_secret": {w.secret},
		"subject_token": {subject}, "subject_token_type": {accessTokenType},
	}
	for i := 0; i < len(more); i += 2 {
		form.Del(more[i])
		if more[i+1] != "" {
			form.Set(more[i], more[i+1])
		}
	}
	return form.Encode()
}

// exchange trades in a token as a client.
func (w *issuerWorld) exchange(client, subject string, more ...string) tokenAnswer {
	w.t.Helper()
	return w.post(w.exchangeForm(client, subject, more...))
}

func (w *issuerWorld) tokenFor(client, scopes string) string {
	w.t.Helper()
	a := w.ask(client, scopes)
	w.granted(a)
	return *a.AccessToken
}

func (w *issuerWorld) exchanged(client, subject string, more ...string) string {
	w.t.Helper()
	a := w.exchange(client, subject, more...)
	w.granted(a)
	return *a.AccessToken
}

func startExchange(t testing.TB) *issuerWorld {
	return startIssuer(t, issuerSettings{
		registry: chain, policy: map[string]string{"beyond.rego": beyondPolicy},
		options: "audience https://api.example.com", global: "log {\nlevel DEBUG\n}",
	})
}

// TestTokenExchange: what a client gets for a token of this issuer (RFC 8693 §2).
func TestTokenExchange(t *testing.T) {
	w := startExchange(t)
	all := w.tokenFor("caller", "book film:read")
	for name, c := range map[string]struct {
		client, subject, scope    string
		more                      []string
		granted, rejected, aud    string
		act, sub, presenterClient string
	}{
		"narrower": {client: "books-api", subject: all, scope: "book:1:read", granted: "book:1:read", aud: `"https://api.example.com"`,
			sub: "caller", act: `{"client_id":"books-api","sub":"books-api"}`},
		"not what the presenter may not have": {client: "books-api", subject: all, scope: "book:1:read book:1:edit", granted: "book:1:read",
			rejected: "book:1:edit", aud: `"https://api.example.com"`, sub: "caller", act: `{"client_id":"books-api","sub":"books-api"}`},
		"not what the subject does not have": {client: "almighty", subject: all, scope: "book shelf:read *", granted: "book", rejected: "shelf:read *",
			aud: `"https://api.example.com"`, sub: "caller", act: `{"client_id":"almighty","sub":"almighty"}`},
		"all in common": {client: "books-api", subject: all, granted: "book:*:read", aud: `"https://api.example.com"`,
			sub: "caller", act: `{"client_id":"books-api","sub":"books-api"}`},
		"all of the subject": {client: "almighty", subject: all, granted: "book film:read", aud: `["https://api.example.com","https://films.example.com"]`,
			sub: "caller", act: `{"client_id":"almighty","sub":"almighty"}`},
		"for one audience": {client: "almighty", subject: all, more: []string{"resource", "https://films.example.com"}, granted: "film:read",
			aud: `"https://films.example.com"`, sub: "caller", act: `{"client_id":"almighty","sub":"almighty"}`},
		"of its own": {client: "caller", subject: all, scope: "book:1:read", granted: "book:1:read", aud: `"https://api.example.com"`, sub: "caller", act: `null`},
		"a part of a wildcard": {client: "one-book", subject: all, granted: "book:1:*", aud: `"https://api.example.com"`,
			sub: "caller", act: `{"client_id":"one-book","sub":"one-book"}`},
		"beyond the subject by a rule": {client: "books-api", subject: all, scope: "shelf:1:read book:read", granted: "shelf:1:read book:read",
			aud: `"https://api.example.com"`, sub: "caller", act: `{"client_id":"books-api","sub":"books-api"}`},
		"for another actor": {client: "books-api", subject: all, scope: "book:1:read", granted: "book:1:read", aud: `"https://api.example.com"`,
			more: []string{"actor_token", w.tokenFor("one-book", "book:1:read"), "actor_token_type", jwtTokenType},
			sub:  "caller", act: `{"client_id":"books-api","sub":"one-book"}`},
		"exchanged on": {client: "one-book", subject: w.exchanged("books-api", all, "scope", "book:read"), scope: "book:1:read book:1:edit",
			granted: "book:1:read", rejected: "book:1:edit", aud: `"https://api.example.com"`, sub: "caller",
			act: `{"act":{"client_id":"books-api","sub":"books-api"},"client_id":"one-book","sub":"one-book"}`},
		"as a JWT": {client: "books-api", subject: all, scope: "book:1:read", granted: "book:1:read", aud: `"https://api.example.com"`,
			more: []string{"requested_token_type", jwtTokenType, "subject_token_type", jwtTokenType}, sub: "caller", act: `{"client_id":"books-api","sub":"books-api"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			more := c.more
			if c.scope != "" {
				more = append(more, "scope", c.scope)
			}
			a := w.exchange(c.client, c.subject, more...)
			w.granted(a)
			claims := w.verified(*a.AccessToken)
			act, _ := json.Marshal(claims["act"])
			aud, _ := json.Marshal(claims["aud"])
			if *a.Scope != c.granted || *a.RejectedScope != c.rejected || claims["scope"] != c.granted || string(aud) != c.aud {
				t.Errorf("got %s with aud %s, want %q, rejected %q, aud %s", a, aud, c.granted, c.rejected, c.aud)
			}
			if claims["sub"] != c.sub || claims["client_id"] != c.client || string(act) != c.act {
				t.Errorf("sub %v, client_id %v, act %s", claims["sub"], claims["client_id"], act)
			}
			if exp, most := claims["exp"].(float64), w.verified(c.subject)["exp"].(float64); exp > most {
				t.Errorf("it expires at %v, the subject token at %v", exp, most)
			}
			want := accessTokenType
			if len(c.more) > 1 && c.more[0] == "requested_token_type" {
				want = c.more[1]
			}
			if !strings.Contains(a.body, `"issued_token_type":"`+want+`"`) || strings.Contains(a.body, "refresh_token") {
				t.Errorf("got %s", a)
			}
		})
	}
}

// TestBadTokenExchange: nothing is issued, and the answer is that of RFC 8693 §2.2.2.
func TestBadTokenExchange(t *testing.T) {
	w := startExchange(t)
	good, former := w.tokenFor("caller", "book"), w.tokenFor("former", "book:read")
	revoked := w.tokenFor("caller", "book")
	if a := w.about("revoke", "caller", revoked); a.status != http.StatusOK {
		t.Fatal(a)
	}
	expired := w.tokenFor("brief", "book:read")
	expires := time.Unix(int64(w.verified(expired)["exp"].(float64)), 0)
	narrow := w.exchanged("books-api", good, "scope", "book:1:read")
	changed := strings.Replace(chain, "  former:\n", "  former:\n    disabled: true\n", 1)
	w.writeRegistry(changed)
	servertest.Eventually(t, "the client is disabled", func() bool { return w.ask("former", "book:read").status == http.StatusUnauthorized })
	servertest.Eventually(t, "the token has expired", func() bool { return time.Now().After(expires) })

	const badSubject, badActor = "the subject token is not valid here, has expired or was revoked", "the actor token is not valid here, has expired or was revoked"
	actorType := []string{"actor_token_type", accessTokenType}
	for name, c := range map[string]struct {
		client, subject   string
		more              []string
		status            int
		code, description string
		reason            string
	}{
		"revoked":                    {"books-api", revoked, nil, 400, "invalid_request", badSubject, "revoked"},
		"expired":                    {"books-api", expired, nil, 400, "invalid_request", badSubject, "expired"},
		"of a disabled client":       {"books-api", former, nil, 400, "invalid_request", badSubject, "client_disabled"},
		"with another signature":     {"books-api", good[:len(good)-8] + "AAAAAAAA", nil, 400, "invalid_request", badSubject, ""},
		"alg none":                   {"books-api", "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.", nil, 400, "invalid_request", badSubject, ""},
		"no token":                   {"books-api", "secret", nil, 400, "invalid_request", badSubject, ""},
		"64 KiB":                     {"books-api", strings.Repeat("a", 60<<10), nil, 400, "invalid_request", badSubject, ""},
		"missing":                    {"books-api", "", []string{"subject_token", ""}, 400, "invalid_request", "", ""},
		"without type":               {"books-api", good, []string{"subject_token_type", ""}, 400, "invalid_request", "", ""},
		"another type":               {"books-api", good, []string{"subject_token_type", "urn:ietf:params:oauth:token-type:saml2"}, 400, "invalid_request", "", ""},
		"a refresh token":            {"books-api", good, []string{"requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"}, 400, "invalid_request", "", ""},
		"actor without type":         {"books-api", good, []string{"actor_token", good}, 400, "invalid_request", "", ""},
		"actor type without actor":   {"books-api", good, actorType, 400, "invalid_request", "", ""},
		"a revoked actor":            {"books-api", good, append([]string{"actor_token", revoked}, actorType...), 400, "invalid_request", badActor, "revoked"},
		"an actor from an exchange":  {"books-api", good, append([]string{"actor_token", narrow}, actorType...), 400, "invalid_request", badActor, "exchanged"},
		"nothing in common":          {"without-grants", good, nil, 400, "invalid_scope", "", ""},
		"wider again":                {"almighty", narrow, []string{"scope", "book:2:read"}, 400, "invalid_scope", "", ""},
		"beyond, without the rule":   {"almighty", good, []string{"scope", "shelf:read"}, 400, "invalid_scope", "", ""},
		"beyond, without the grant":  {"one-book", good, []string{"scope", "shelf:read"}, 400, "invalid_scope", "", ""},
		"another audience":           {"almighty", good, []string{"resource", "https://other.example.com"}, 400, "invalid_target", "", ""},
		"another resource":           {"almighty", good, []string{"resource", "https://films.example.com", "scope", "film:read"}, 400, "invalid_scope", "", ""},
		"no client":                  {"", good, []string{"client_id", "", "client_secret", ""}, 401, "invalid_client", "", ""},
		"only the name of a client":  {"books-api", good, []string{"client_secret", ""}, 401, "invalid_client", "", ""},
		"another client's secret":    {"nobody", good, nil, 401, "invalid_client", "", ""},
		"a disabled client presents": {"former", good, nil, 401, "invalid_client", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.in(t).exchange(c.client, c.subject, c.more...)
			refusedToken(t, a, c.status, c.code)
			if c.description != "" && a.Description != c.description {
				t.Errorf("the description is %q", a.Description)
			}
			if c.reason != "" {
				servertest.Eventually(t, "the log has the reason", func() bool {
					for _, line := range w.LogLines("m2m.decisions") {
						if line["decision_id"] == a.DecisionID {
							return line["reason"] == c.reason
						}
					}
					return false
				})
			}
		})
	}
	for _, secret := range []string{good, revoked, expired, narrow} {
		if strings.Contains(w.Log(), secret) || strings.Contains(w.Log(), secret[strings.LastIndexByte(secret, '.')+1:]) {
			t.Error("the log has a token")
		}
	}
}

// TestTokenExchangeEnds: an exchange ends with its subject token or its actors, and a token that was exchanged with the tokens of
// the client that it is about.
func TestTokenExchangeEnds(t *testing.T) {
	w := startExchange(t)
	subject := w.tokenFor("caller", "book")
	on := subject
	for n := range 8 {
		on = w.exchanged([]string{"books-api", "one-book"}[n%2], on, "scope", "book:1:read")
	}
	refusedToken(t, w.exchange("books-api", on), 400, "invalid_request")
	if a := w.about("introspect", "one-book", on); !strings.Contains(a.body, `"sub":"caller"`) || !strings.Contains(a.body, `"act":{"act":`) {
		t.Errorf("introspection says %s", a)
	}
	if a := w.about("revoke", "caller", subject); a.status != http.StatusOK {
		t.Fatal(a)
	}
	refusedToken(t, w.exchange("books-api", subject), 400, "invalid_request")
	if a := w.about("introspect", "one-book", on); !strings.Contains(a.body, `"active":true`) {
		t.Errorf("a token that was exchanged before: %s", a)
	}
	subject = w.tokenFor("caller", "book")
	exchanged := w.exchanged("books-api", subject, "scope", "book:1:read")
	if err := w.otherNode().Revoke(t.Context(), revocation.OfClient("caller", time.Now())); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "the token ends with those of the client that it is about", func() bool {
		return strings.Contains(w.about("introspect", "books-api", exchanged).body, `"active":false`)
	})
	refusedToken(t, w.exchange("books-api", exchanged), 400, "invalid_request")
}

// TestTokenExchangeIsLogged: with the identities of subject and actor, the rule that widened it, and no token.
func TestTokenExchangeIsLogged(t *testing.T) {
	w := startExchange(t)
	subject, actor := w.tokenFor("caller", "book:read"), w.tokenFor("one-book", "book:1:read")
	a := w.exchange("books-api", subject, "scope", "shelf:read book:read", "actor_token", actor, "actor_token_type", accessTokenType)
	w.granted(a)
	jti := w.verified(*a.AccessToken)["jti"]
	var line map[string]any
	servertest.Eventually(t, "the decision is logged", func() bool {
		for _, one := range w.LogLines("m2m.decisions") {
			if one["jti"] == jti {
				line = one
			}
		}
		return line != nil
	})
	if n := w.metricOf("caddy_m2m_tokens_issued_total", "token_exchange"); n != "1" {
		t.Errorf("the metrics count %q exchanges", n)
	}
	text, _ := json.Marshal(line)
	for _, want := range []string{`"subject":{`, `"client_id":"caller"`, `"actor":{`, `"client_id":"one-book"`, `"beyond_subject":[{"reason":"books are on shelves","scope":"shelf:read"}]`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the line lacks %s: %s", want, text)
		}
	}
	for _, raw := range []string{subject, actor, *a.AccessToken} {
		if strings.Contains(w.Log(), raw[strings.LastIndexByte(raw, '.')+1:]) {
			t.Error("the log has a token")
		}
	}
}
