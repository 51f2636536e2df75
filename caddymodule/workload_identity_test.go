package caddymodule_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// workloadWorld is an issuer that trusts a CI system, a Kubernetes cluster and a SPIFFE trust domain. They are here, and issue
// tokens with the claims of the real ones.
type workloadWorld struct {
	*issuerWorld
	github, kubernetes, spire *servertest.Issuer
}

const workloads = `resources:
  book: {actions: {read: "", edit: ""}}
clients:
  demo:
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  books-deployer:
    identities:
      - {issuer: GITHUB, subject: "repo:acme/books:environment:production"}
    grants: [{resource: book, identifiers: ["*"], actions: ["*"]}]
  books:
    identities:
      - {issuer: KUBERNETES, subject: "system:serviceaccount:books:api"}
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  shop:
    identities:
      - {issuer: KUBERNETES, subject_pattern: "system:serviceaccount:shop:*", claims: {kubernetes.io: {namespace: shop}}}
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  catalogue:
    identities:
      - {issuer: SPIRE, subject: "spiffe://example.org/catalogue", type: jwt-spiffe}
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  former-workload:
    disabled: true
    identities: [{issuer: GITHUB, subject: "repo:acme/former:ref:refs/heads/main"}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  by-secret:
    auth: client_secret
    secrets: [{id: s1, sha256: HASH}]
    identities: [{issuer: GITHUB, subject: "repo:acme/by-secret:ref:refs/heads/main"}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
`

func startWorkloads(t *testing.T, policy map[string]string) *workloadWorld {
	t.Helper()
	w := &workloadWorld{github: servertest.StartIssuer(t), kubernetes: servertest.StartIssuer(t), spire: servertest.StartIssuer(t)}
	w.kubernetes.Publish(func(answer http.ResponseWriter, r *http.Request) { // as an API server, which asks who reads the keys
		if r.Header.Get("Authorization") != "Bearer of-the-pod" {
			http.Error(answer, "no", http.StatusUnauthorized)
			return
		}
		_, _ = answer.Write(w.kubernetes.JWKS())
	})
	w.spire.Publish(func(answer http.ResponseWriter, _ *http.Request) { // as a bundle endpoint
		_, _ = answer.Write([]byte(strings.ReplaceAll(string(w.spire.JWKS()), `"use":"sig"`, `"use":"jwt-svid"`)))
	})
	bearer := servertest.WriteFile(t, t.TempDir(), "token", "of-the-pod\n")
	names := strings.NewReplacer("GITHUB", w.github.URL, "KUBERNETES", w.kubernetes.URL, "SPIRE", w.spire.URL, "BEARER", bearer)
	w.issuerWorld = newIssuerWorld(t, issuerSettings{
		registry: names.Replace(workloads), policy: policy,
		options: names.Replace("trust GITHUB\ntrust KUBERNETES {\njwks_uri KUBERNETES/jwks\nrequest_header Authorization \"Bearer {file.BEARER}\"\n}\n" +
			"trust SPIRE {\ntype jwt-spiffe\ntrust_domain example.org\njwks_uri SPIRE/jwks\n}"),
	})
	w.Admin = fmt.Sprintf("127.0.0.1:%d", servertest.FreePort(t))
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatalf("starting Caddy: %v", err)
	}
	return w
}

// githubToken is a token of GitHub Actions.
func (w *workloadWorld) githubToken(subject string, changes map[string]any) string {
	now := time.Now()
	repository := strings.SplitN(subject, ":", 3)[1]
	claims := map[string]any{
		"jti": fmt.Sprint(now.UnixNano()), "sub": subject, "aud": w.url, "ref": "refs/heads/main", "sha": "0c8f1f6d", "repository": repository,
		"repository_owner": "acme", "run_id": "9876543210", "run_attempt": "1", "actor": "octocat", "workflow": "deploy", "event_name": "push",
		"environment": "production", "runner_environment": "github-hosted", "job_workflow_ref": repository + "/.github/workflows/deploy.yml@refs/heads/main",
		"iss": w.github.URL, "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(),
	}
	return signClaims(w.github, claims, changes, map[string]any{"typ": "JWT"})
}

// kubernetesToken is a projected service account token.
func (w *workloadWorld) kubernetesToken(namespace, account string, changes map[string]any) string {
	now := time.Now()
	claims := map[string]any{
		"aud": []string{w.url}, "exp": now.Add(3607 * time.Second).Unix(), "iat": now.Unix(), "iss": w.kubernetes.URL,
		"kubernetes.io": map[string]any{
			"namespace": namespace, "node": map[string]any{"name": "node-1", "uid": "5a1f"}, "pod": map[string]any{"name": account + "-7d9f", "uid": "77ab"},
			"serviceaccount": map[string]any{"name": account, "uid": "0b12"}, "warnafter": now.Add(time.Hour).Unix(),
		},
		"nbf": now.Unix(), "sub": "system:serviceaccount:" + namespace + ":" + account,
	}
	return signClaims(w.kubernetes, claims, changes, map[string]any{"typ": nil})
}

// svid is a JWT-SVID of SPIRE, which sets neither iss nor jti.
func (w *workloadWorld) svid(id string, changes map[string]any) string {
	now := time.Now()
	claims := map[string]any{"sub": id, "aud": []string{w.url}, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix()}
	return signClaims(w.spire, claims, changes, map[string]any{"typ": "JWT"})
}

func signClaims(issuer *servertest.Issuer, claims, changes, header map[string]any) string {
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return issuer.Sign(claims, header)
}

// byAssertion is a request by client_assertion for book:1:read, with more parameters.
func (w *workloadWorld) byAssertion(assertion string, more ...string) tokenAnswer {
	w.t.Helper()
	return w.send(append([]string{
		"grant_type", "client_credentials", "client_assertion_type", oauth.AssertionTypeJWT, "client_assertion", assertion,
	}, more...)...)
}

// byAssertionOf is byAssertion in the world of a test.
func (w *issuerWorld) byAssertionOf(assertion string) tokenAnswer {
	w.t.Helper()
	return w.post(url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {oauth.AssertionTypeJWT}, "client_assertion": {assertion}, "scope": {"book:1:read"},
	}.Encode())
}

// byGrant is a request of the jwt-bearer grant.
func (w *workloadWorld) byGrant(assertion string, more ...string) tokenAnswer {
	w.t.Helper()
	return w.send(append([]string{"grant_type", oauth.GrantJWTBearer, "assertion", assertion}, more...)...)
}

func (w *workloadWorld) send(parameters ...string) tokenAnswer {
	w.t.Helper()
	values := url.Values{"scope": {"book:1:read"}}
	for i := 0; i < len(parameters); i += 2 {
		values.Set(parameters[i], parameters[i+1])
	}
	return w.post(values.Encode())
}

const production = "repo:acme/books:environment:production"

// TestWorkloadIdentities: the tokens of real platforms stand for the clients that list them, in each wire form.
func TestWorkloadIdentities(t *testing.T) {
	w := startWorkloads(t, nil)
	for name, c := range map[string]struct{ assertion, client, method string }{
		"GitHub Actions":          {w.githubToken(production, nil), "books-deployer", "federated_jwt"},
		"Kubernetes":              {w.kubernetesToken("books", "api", nil), "books", "federated_jwt"},
		"Kubernetes, by pattern":  {w.kubernetesToken("shop", "checkout", nil), "shop", "federated_jwt"},
		"SPIRE":                   {w.svid("spiffe://example.org/catalogue", nil), "catalogue", "spiffe_jwt"},
		"SPIRE with its issuer":   {w.svid("spiffe://example.org/catalogue", map[string]any{"iss": w.spire.URL}), "catalogue", "spiffe_jwt"},
		"Kubernetes without list": {w.kubernetesToken("books", "api", map[string]any{"aud": w.url}), "books", "federated_jwt"},
	} {
		answers := []tokenAnswer{w.byAssertion(c.assertion), w.byAssertion(c.assertion, "client_id", c.client), w.byGrant(c.assertion), w.byGrant(c.assertion, "client_id", c.client)}
		if c.method == "spiffe_jwt" {
			answers = append(answers, w.byAssertion(c.assertion, "client_assertion_type", oauth.AssertionTypeSPIFFE))
		}
		for i, a := range answers {
			if a.status != http.StatusOK {
				t.Fatalf("%s, form %d: %s\n%s", name, i, a, w.Log())
			}
			if got := claimsOf(t, *a.AccessToken)["client_id"]; got != c.client {
				t.Errorf("%s, form %d: the token is of %v, want %s", name, i, got, c.client)
			}
		}
		for _, a := range []tokenAnswer{w.byAssertion(c.assertion, "client_id", "demo"), w.byAssertion(c.assertion, "client_id", "no-such-client")} {
			refusedToken(t, a, http.StatusUnauthorized, "invalid_client")
		}
		refusedToken(t, w.byGrant(c.assertion, "client_id", "demo"), http.StatusBadRequest, "invalid_grant")
	}
	// A client that authenticates by a secret may not use the identity of another.
	refusedToken(t, w.byGrant(w.githubToken(production, nil), "client_id", "demo", "client_secret", w.secret), http.StatusBadRequest, "invalid_grant")
	metadata := w.get(w.url + "/.well-known/openid-configuration").body
	if !strings.Contains(metadata, oauth.GrantJWTBearer) {
		t.Errorf("the metadata does not name the grant: %s", metadata)
	}
	for _, secret := range []string{w.githubToken(production, nil)[:40], "of-the-pod"} {
		if strings.Contains(w.Log(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// claimsOf returns the claims of a token without any check.
func claimsOf(t testing.TB, raw string) map[string]any {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	claims := make(map[string]any)
	if err == nil {
		err = json.Unmarshal(data, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestWorkloadsRefused: whatever is wrong with an assertion, the answer is the same, and nothing is issued.
func TestWorkloadsRefused(t *testing.T) {
	w := startWorkloads(t, nil)
	stranger := servertest.StartIssuer(t)
	now := time.Now()
	github := func(changes map[string]any) string { return w.githubToken(production, changes) }
	kid := map[string]any{"typ": "JWT", "kid": stranger.Claims("", "", nil)["jti"]}
	cases := map[string]string{
		"another repository":           w.githubToken("repo:acme/other:environment:production", nil),
		"another branch":               w.githubToken("repo:acme/books:ref:refs/heads/main", nil),
		"a prefix":                     w.githubToken(production+"-2", nil),
		"other letter case":            w.githubToken("repo:Acme/books:environment:production", nil),
		"a disabled client":            w.githubToken("repo:acme/former:ref:refs/heads/main", nil),
		"a client with another method": w.githubToken("repo:acme/by-secret:ref:refs/heads/main", nil),
		"another audience":             github(map[string]any{"aud": "https://other.example.com"}),
		"a second audience":            github(map[string]any{"aud": []string{w.url, "https://other.example.com"}}),
		"no audience":                  github(map[string]any{"aud": nil}),
		"expired":                      github(map[string]any{"exp": now.Add(-time.Hour).Unix()}),
		"no expiry":                    github(map[string]any{"exp": nil}),
		"years ahead":                  github(map[string]any{"exp": now.Add(3 * 365 * 24 * time.Hour).Unix()}),
		"not valid yet":                github(map[string]any{"nbf": now.Add(time.Hour).Unix()}),
		"the issuer as a list":         github(map[string]any{"iss": []string{w.github.URL}}),
		"no issuer":                    github(map[string]any{"iss": nil}),
		"an issuer that is not known":  github(map[string]any{"iss": stranger.URL}),
		"the identity of another":      signClaims(w.kubernetes, map[string]any{"iss": w.github.URL, "sub": production, "aud": w.url, "exp": now.Add(time.Minute).Unix()}, nil, map[string]any{"typ": "JWT"}),
		"a subject of another issuer":  w.kubernetesToken("books", "api", map[string]any{"sub": production}),
		"keys of a stranger":           signClaims(stranger, map[string]any{"iss": w.github.URL, "sub": production, "aud": w.url, "exp": now.Add(time.Minute).Unix()}, nil, map[string]any{"typ": "JWT"}),
		"a key that is not known":      signClaims(w.github, map[string]any{"iss": w.github.URL, "sub": production, "aud": w.url, "exp": now.Add(time.Minute).Unix()}, nil, kid),
		"an access token":              w.github.Sign(map[string]any{"iss": w.github.URL, "sub": production, "aud": w.url, "exp": now.Add(time.Minute).Unix()}, nil),
		"bound to a key":               github(map[string]any{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}),
		"held by an actor":             github(map[string]any{"act": map[string]any{"sub": "books-agent"}}),
		"another namespace":            w.kubernetesToken("evil", "api", nil),
		"a claim that is not there":    w.kubernetesToken("shop", "checkout", map[string]any{"kubernetes.io": nil}),
		"a claim of another value":     w.kubernetesToken("shop", "checkout", map[string]any{"kubernetes.io": map[string]any{"namespace": "evil"}}),
		"a deeper pattern":             w.kubernetesToken("shop", "", map[string]any{"sub": "system:serviceaccount:shop:"}),
		"another trust domain":         w.svid("spiffe://example.com/catalogue", nil),
		"a longer trust domain":        w.svid("spiffe://example.org.evil.example/catalogue", nil),
		"another path":                 w.svid("spiffe://example.org/catalogue/admin", nil),
		"an SVID of another issuer":    w.svid("spiffe://example.org/catalogue", map[string]any{"iss": w.github.URL}),
		"no SPIFFE ID":                 w.svid(production, nil),
		"not a token":                  "x.y.z",
		"64 KiB":                       github(map[string]any{"x": strings.Repeat("x", 40<<10)}),
	}
	cases["unsigned"] = strings.Join([]string{"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", strings.Split(github(nil), ".")[1], ""}, ".")
	cases["a changed signature"] = github(nil)[:len(github(nil))-6] + "AAAAAA"
	want := ""
	for name, assertion := range cases {
		a := w.byAssertion(assertion, "client_id", name) // each with its own delay
		if a.status == http.StatusOK {
			t.Errorf("%s: got a token", name)
			continue
		}
		refusedToken(t, a, http.StatusUnauthorized, "invalid_client")
		if want == "" {
			want = a.body
		}
		if a.body != want {
			t.Errorf("%s: the answer is %s, and not %s", name, a.body, want)
		}
		b := w.byGrant(assertion, "client_id", name)
		refusedToken(t, b, http.StatusBadRequest, "invalid_grant")
	}
	refusedToken(t, w.byAssertion(github(nil), "client_assertion_type", oauth.AssertionTypeSPIFFE), http.StatusUnauthorized, "invalid_client")
	own := func(client string) string {
		return signClaims(w.github, map[string]any{"iss": client, "sub": client, "aud": w.url, "exp": now.Add(time.Minute).Unix()}, nil, map[string]any{"typ": "JWT"})
	}
	for _, client := range []string{"demo", "no-such-client"} { // an assertion of a client is not a grant
		refusedToken(t, w.byGrant(own(client)), http.StatusBadRequest, "invalid_grant")
	}
	refusedToken(t, w.byAssertion(github(nil), "client_id", "demo", "client_secret", w.secret), http.StatusBadRequest, "invalid_request")
	if log := w.Log(); strings.Contains(log, strings.Split(cases["another repository"], ".")[2]) {
		t.Error("the log holds an assertion")
	}
	// A token that another party holds for the subject does not authenticate the subject. A client of its own may exchange it.
	held := []string{"grant_type", exchangeGrant, "subject_token", cases["held by an actor"], "subject_token_type", jwtTokenType}
	refusedToken(t, w.send(held...), http.StatusBadRequest, "invalid_request")
	w.granted(w.send(append(held, "client_id", "demo", "client_secret", w.secret)...))
	// An operator finds the subject that the registry should list.
	w.byAssertion(w.githubToken("repo:acme/new:ref:refs/heads/main", nil))
	if !slices.ContainsFunc(w.LogLines("m2m"), func(line map[string]any) bool {
		return line["msg"] == "an identity is refused" && line["reason"] == "unknown_identity" && strings.HasPrefix(fmt.Sprint(line["subject"]), "repo:")
	}) {
		t.Errorf("no line tells which identity is not known:\n%s", w.Log())
	}
}

// TestIdentityPolicy: m2m.identity maps identities to clients and denies them, and m2m.token sees the assertion.
func TestIdentityPolicy(t *testing.T) {
	w := startWorkloads(t, map[string]string{"a.rego": `package m2m.identity

clients contains id if {
	input.identity.type == "jwt"
	id := input.identity.claims.mapped
}

clients contains "demo" if input.identity.claims.both

denied contains {"reason": "of last week"} if input.identity.claims.late

denied contains {"reason": "the grant is closed"} if {
	input.request.grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer"
	input.identity.claims.closed
}
`, "b.rego": `package m2m.token

claims.environment := input.subject.claims.environment

claims.method := input.client.auth_method

claims.type := input.subject.type

claims.of := input.subject.client_id

rejected contains {"scope": s.raw, "reason": "workloads only"} if {
	not input.subject
	some s in input.scopes
}
`, "c.rego": `package m2m.log

mask contains "/input/identity/claims/environment"
`})
	mapped := w.byAssertion(w.githubToken("repo:acme/elsewhere:ref:refs/heads/main", map[string]any{"mapped": "demo"}))
	w.granted(mapped)
	claims := claimsOf(t, *mapped.AccessToken)
	for name, want := range map[string]any{"client_id": "demo", "environment": "production", "method": "federated_jwt", "type": "jwt", "of": "demo"} {
		if claims[name] != want {
			t.Errorf("the claim %s is %v, want %v", name, claims[name], want)
		}
	}
	both := w.githubToken(production, map[string]any{"both": true})
	refusedToken(t, w.byAssertion(both), http.StatusUnauthorized, "invalid_client")
	refusedToken(t, w.byGrant(both), http.StatusBadRequest, "invalid_grant")
	for _, client := range []string{"demo", "books-deployer"} {
		a := w.byAssertion(both, "client_id", client)
		w.granted(a)
		if got := claimsOf(t, *a.AccessToken)["sub"]; got != client {
			t.Errorf("the token is of %v, want %s", got, client)
		}
	}
	for _, changes := range []map[string]any{{"late": true}, {"mapped": "no-such-client"}, {"mapped": "former-workload"}} {
		subject := production
		if changes["mapped"] != nil {
			subject = "repo:acme/elsewhere:ref:refs/heads/main"
		}
		refusedToken(t, w.byAssertion(w.githubToken(subject, changes)), http.StatusUnauthorized, "invalid_client")
	}
	closed := w.githubToken(production, map[string]any{"closed": true})
	w.granted(w.byAssertion(closed))
	refusedToken(t, w.byGrant(closed), http.StatusBadRequest, "invalid_grant")
	refusedToken(t, w.ask("demo", "book:1:read"), http.StatusBadRequest, "invalid_scope")
	// A rule that fails is a failure of this side, and not of the caller.
	// Everyone whom the trusted issuer knows may cause it, so it does not fill the log.
	for range 3 {
		refusedToken(t, w.byAssertion(w.githubToken(production, map[string]any{"mapped": 1})), http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	failures := slices.DeleteFunc(w.LogLines("m2m"), func(line map[string]any) bool {
		return line["level"] != "error" || line["msg"] != "deciding on an identity failed, no token is issued"
	})
	if len(failures) != 1 {
		t.Errorf("%d lines of failures: %v", len(failures), failures)
	}
	late := w.githubToken(production, map[string]any{"late": true})
	if strings.Contains(w.byAssertion(late).body, "week") {
		t.Error("the caller learns why it is denied")
	}
	w.checkIdentityDecisions(late)
}

// checkIdentityDecisions checks that the decision log tells the operator which rule denied an identity, without what is masked.
func (w *workloadWorld) checkIdentityDecisions(assertion string) {
	w.t.Helper()
	servertest.Eventually(w.t, "the decision log has the reason of the rule", func() bool {
		return slices.ContainsFunc(w.LogLines("m2m.decisions"), func(line map[string]any) bool {
			input, _ := line["input"].(map[string]any)
			identity, _ := input["identity"].(map[string]any)
			claims, _ := identity["claims"].(map[string]any)
			return line["path"] == "m2m/identity" && line["reason"] == "identity_denied" && fmt.Sprint(line["result"]) == "map[clients:[books-deployer] denied:[of last week]]" &&
				identity["issuer"] == w.github.URL && identity["key_id"] != "" && claims["late"] == true && claims["environment"] == nil &&
				fmt.Sprint(line["erased"]) == "[/input/identity/claims/environment]" && identity["subject"] == production
		})
	})
	if !slices.ContainsFunc(w.LogLines("m2m.decisions"), func(line map[string]any) bool {
		input, _ := line["input"].(map[string]any)
		subject, _ := input["subject"].(map[string]any)
		client, _ := input["client"].(map[string]any)
		return client["auth_method"] == "federated_jwt" && subject["issuer"] == w.github.URL && subject["subject"] == production &&
			subject["type"] == "jwt" && subject["key_id"] != "" && line["key_id"] == subject["key_id"]
	}) {
		w.t.Error("no token decision has the identity")
	}
	if strings.Contains(w.Log(), strings.Split(assertion, ".")[1]) {
		w.t.Error("the log holds an assertion")
	}
	for _, line := range w.LogLines("m2m") {
		if line["msg"] == "an identity is refused" && line["subject"] != nil {
			w.t.Errorf("the log has what the policy may mask: %v", line)
		}
	}
}

// TestWorkloadMethodLeftOut: an issuer whose auth_methods leaves out the method of workloads refuses them in each wire form, before
// their keys are fetched. A client that authenticates otherwise may still exchange their tokens.
func TestWorkloadMethodLeftOut(t *testing.T) {
	w := &workloadWorld{github: servertest.StartIssuer(t)}
	var fetches atomic.Int32
	w.github.Publish(func(answer http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = answer.Write(w.github.JWKS())
	})
	w.issuerWorld = startIssuer(t, issuerSettings{
		registry: strings.NewReplacer("GITHUB", w.github.URL, "KUBERNETES", "https://k.example", "SPIRE", "https://s.example").Replace(workloads),
		options:  "auth_methods client_secret_post\ntrust " + w.github.URL,
	})
	assertion := w.githubToken(production, nil)
	exchanged := []string{"grant_type", exchangeGrant, "subject_token", assertion, "subject_token_type", jwtTokenType}
	for _, a := range []tokenAnswer{w.byAssertion(assertion), w.byGrant(assertion), w.send(exchanged...)} {
		refusedToken(t, a, http.StatusUnauthorized, "invalid_client")
	}
	if n := fetches.Load(); n != 0 {
		t.Errorf("the keys were fetched %d times", n)
	}
	w.granted(w.send(append(exchanged, "client_id", "demo", "client_secret", w.secret)...))
}

// TestExplainAssertion: the operator sees what is wrong with an assertion, or as which client it may act and why.
func TestExplainAssertion(t *testing.T) {
	w := startWorkloads(t, map[string]string{"a.rego": `package m2m.identity

clients contains "demo" if input.identity.claims.both

denied contains {"reason": "of last week"} if input.identity.claims.late
`})
	explain := func(assertion, client string) *api.Explanation {
		t.Helper()
		asked, err := json.Marshal(api.ExplainRequest{Assertion: assertion, Client: client, Scopes: []string{"book:1:read"}})
		if err != nil {
			t.Fatal(err)
		}
		a := w.do(w.request(http.MethodPost, "http://"+w.Admin+"/m2m/explain", bytes.NewReader(asked), "Content-Type", "application/json"))
		x := new(api.Explanation)
		if err := json.Unmarshal([]byte(a.body), x); err != nil || a.status != http.StatusOK || x.Identity == nil {
			t.Fatalf("%s: %v", a, err)
		}
		return x
	}
	x := explain(w.githubToken(production, nil), "")
	if !x.Passes || x.Client != "books-deployer" || !x.Identity.Verified || x.Identity.Claims["environment"] != "production" || !slices.Equal(x.Identity.Listed, []string{"books-deployer"}) {
		t.Errorf("got %+v of %+v", x, x.Identity)
	}
	both := w.githubToken(production, map[string]any{"both": true})
	if x := explain(both, ""); x.Passes || x.Client != "" || x.Refusals[0].Reason != "ambiguous_identity" || len(x.Identity.Clients) != 2 || x.Identity.Clients[1].Causes[0].Line != 3 {
		t.Errorf("got %+v of %+v", x, x.Identity)
	}
	if x := explain(both, "demo"); !x.Passes || x.Client != "demo" {
		t.Errorf("got %+v of %+v", x, x.Identity)
	}
	if x := explain(w.githubToken(production, map[string]any{"late": true}), ""); x.Refusals[0].Reason != "identity_denied" || x.Identity.Denied[0].Line != 5 || x.Identity.Denied[0].Reason != "of last week" {
		t.Errorf("got %+v of %+v", x, x.Identity)
	}
	for problem, assertion := range map[string]string{
		"aud":             w.githubToken(production, map[string]any{"aud": "https://other.example.com"}),
		"exp has passed":  w.githubToken(production, map[string]any{"exp": 1}),
		"no trust block":  w.githubToken(production, map[string]any{"iss": "https://other.example.com"}),
		"not three parts": "hello",
	} {
		x := explain(assertion, "")
		if x.Passes || x.Identity.Verified || !strings.Contains(x.Identity.Problem, problem) || x.Identity.Claims != nil {
			t.Errorf("%s: got %+v of %+v", problem, x, x.Identity)
		}
	}
	if strings.Contains(w.Log(), both) {
		t.Error("the log holds an assertion")
	}
}

// TestTrustedKeysRotate: while a trusted issuer replaces its keys, no good assertion is refused and no bad one accepted. One odd
// key does not matter. While the issuer cannot be reached, its assertions wait for no turn of others.
func TestTrustedKeysRotate(t *testing.T) {
	w := startWorkloads(t, nil)
	w.github.Publish(func(answer http.ResponseWriter, _ *http.Request) {
		odd := `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"odd"},{"kty":"EC","crv":"P-256","kid":"broken"},`
		_, _ = answer.Write([]byte(strings.Replace(string(w.github.JWKS()), `{"keys":[`, odd, 1)))
	})
	w.granted(w.byAssertion(w.githubToken(production, nil)))
	stranger := servertest.StartIssuer(t)
	forged := func() string {
		return signClaims(stranger, map[string]any{"iss": w.github.URL, "sub": production, "aud": w.url, "exp": time.Now().Add(time.Minute).Unix()}, nil, map[string]any{"typ": "JWT"})
	}
	var wrong atomic.Int64
	var all sync.WaitGroup
	assertions := make(chan string)
	for range 4 {
		all.Go(func() {
			for assertion := range assertions {
				if a := w.in(t).post(url.Values{
					"grant_type": {oauth.GrantJWTBearer}, "assertion": {assertion}, "scope": {"book:1:read"},
				}.Encode()); a.status != http.StatusOK {
					wrong.Add(1)
				}
			}
		})
	}
	w.github.Rotate()
	for range 40 {
		assertions <- w.githubToken(production, nil)
	}
	close(assertions)
	all.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of 40 good assertions were refused during the rotation", n)
	}
	refusedToken(t, w.byGrant(forged()), http.StatusBadRequest, "invalid_grant")
	// The keys of SPIRE do not come: who needs them waits, and keeps no other from its turn, whatever their number.
	asked, release := make(chan struct{}, 100), make(chan struct{})
	w.spire.Publish(func(answer http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-release
		http.Error(answer, "too late", http.StatusInternalServerError)
	})
	svid := w.svid("spiffe://example.org/catalogue", nil)
	for range 40 {
		all.Go(func() {
			if a := w.in(t).byAssertionOf(svid); a.status != http.StatusServiceUnavailable || a.Error != "temporarily_unavailable" {
				t.Errorf("without keys: %s", a)
			}
		})
	}
	<-asked
	for range 3 {
		w.granted(w.byAssertion(w.githubToken(production, nil)))
		w.granted(w.ask("demo", "book:1:read"))
	}
	close(release)
	all.Wait()
	w.spire.SetDown(true)
	refusedToken(t, w.byAssertion(w.svid("spiffe://example.org/catalogue", nil)), http.StatusServiceUnavailable, "temporarily_unavailable")
	w.granted(w.byAssertion(w.githubToken(production, nil)))
	w.granted(w.ask("demo", "book:1:read"))
}

// TestTrustOnLoad: what a trust block cannot mean is an error.
func TestTrustOnLoad(t *testing.T) {
	there := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(there.Close)
	w := newIssuerWorld(t, issuerSettings{})
	missing := w.dir + "/missing.pem"
	for options, want := range map[string]string{
		"trust " + w.url: "the issuer trusts its own tokens already",
		"trust https://a.example.com {\nca " + missing + "\n}":                             "ca:",
		"trust https://a.example.com {\nrequest_header Authorization secret\n}":            "the value has no placeholder",
		"trust http://a.example.com":                                                       "https",
		"trust https://a.example.com {\ntype jwt-spiffe\ntrust_domain {env.M2M_DOMAIN}\n}": "trust_domain",
		"trust https://a.example.com {\ntype jwt-spiffe\ntrust_domain example.org\n}\ntrust https://b.example.com {\ntype jwt-spiffe\ntrust_domain example.org\n}": "another issuer has the trust domain example.org",
	} {
		t.Setenv("M2M_DOMAIN", "Example.org")
		w.options = options
		if err := w.Validate(w.caddyfile()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one with %q", options, err, want)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a file was made")
	}
}
