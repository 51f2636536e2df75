package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const dpopRegistry = `resources:
  book: {actions: {read: ""}}
clients:
  demo:
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  bound:
    secrets: [{id: s1, sha256: HASH}]
    dpop_bound_access_tokens: true
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
`

// prover is a client of DPoP with its key.
type prover struct {
	t   testing.TB
	key *token.SigningKey
}

func newProver(t testing.TB) *prover {
	t.Helper()
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return &prover{t, key}
}

// proof signs a proof for a request, with changes.
func (p *prover) proof(method, url string, changes ...func(*token.Proof)) string {
	p.t.Helper()
	proof := token.Proof{ID: token.NewID(), Method: method, URL: url, IssuedAt: time.Now()}
	for _, change := range changes {
		change(&proof)
	}
	raw, err := p.key.SignProof(proof)
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

func withNonce(nonce string) func(*token.Proof) {
	return func(p *token.Proof) { p.Nonce = nonce }
}

// boundTo fails the test unless the answer has a token that is bound to the key.
func (p *prover) boundTo(a tokenAnswer) {
	p.t.Helper()
	if a.status != http.StatusOK || a.AccessToken == nil || a.TokenType != "DPoP" {
		p.t.Fatalf("no DPoP token: %s", a)
	}
	decoded, err := token.Decode(*a.AccessToken)
	if err != nil {
		p.t.Fatal(err)
	}
	cnf, _ := decoded.Claims["cnf"].(map[string]any)
	if len(cnf) != 1 || cnf["jkt"] != p.key.ID() {
		p.t.Errorf("cnf is %v, want the jkt %s", cnf, p.key.ID())
	}
}

func TestTokenWithDPoP(t *testing.T) {
	w := startIssuer(t, issuerSettings{registry: dpopRegistry})
	p := newProver(t)
	form := w.form("demo", "book:*:read")
	ask := func(proofs ...string) tokenAnswer {
		var header []string
		for _, proof := range proofs {
			header = append(header, "DPoP", proof)
		}
		return w.post(form, header...)
	}

	p.boundTo(ask(p.proof("POST", w.tokenURL())))
	p.boundTo(ask(p.proof("POST", strings.ToUpper(w.tokenURL()[:7])+w.tokenURL()[7:]+"?x=1#y")))
	w.granted(ask()) // a plain one

	used := p.proof("POST", w.tokenURL())
	p.boundTo(ask(used))
	minutes := func(n int) func(*token.Proof) {
		return func(p *token.Proof) { p.IssuedAt = p.IssuedAt.Add(time.Duration(n) * time.Minute) }
	}
	for name, proofs := range map[string][]string{
		"used before":       {used},
		"two":               {p.proof("POST", w.tokenURL()), p.proof("POST", w.tokenURL())},
		"empty":             {""},
		"not a JWT":         {"x"},
		"another method":    {p.proof("GET", w.tokenURL())},
		"another URL":       {p.proof("POST", w.url+"/oauth2/revoke")},
		"another host":      {p.proof("POST", "http://other.example/oauth2/token")},
		"too old":           {p.proof("POST", w.tokenURL(), minutes(-3))},
		"of the future":     {p.proof("POST", w.tokenURL(), minutes(3))},
		"another signature": {p.proof("POST", w.tokenURL())[:400] + newProver(t).proof("POST", w.tokenURL())[400:]},
	} {
		if a := ask(proofs...); a.status != http.StatusBadRequest || a.Error != "invalid_dpop_proof" || a.AccessToken != nil {
			t.Errorf("%s: %s", name, a)
		}
	}

	form = w.form("bound", "book:*:read")
	refusedToken(t, ask(), http.StatusBadRequest, "invalid_dpop_proof")
	p.boundTo(ask(p.proof("POST", w.tokenURL())))

	// Without a client, the answer is as ever, and the proof is not used up.
	proof := p.proof("POST", w.tokenURL())
	form = strings.Replace(form, "client_secret=", "client_secret=x", 1)
	refusedToken(t, ask(proof), http.StatusUnauthorized, "invalid_client")
	form = w.form("bound", "book:*:read")
	p.boundTo(ask(proof))

	_, server := wellKnown(w.url)
	var meta struct {
		Algs []string `json:"dpop_signing_alg_values_supported"`
	}
	if err := json.Unmarshal([]byte(w.get(server).body), &meta); err != nil || !slices.Contains(meta.Algs, "ES256") {
		t.Errorf("metadata has %v, %v", meta.Algs, err)
	}
}

// TestTokenWithNonce sends a request again with the nonce of the answer (RFC 9449 §8), as clients do.
func TestTokenWithNonce(t *testing.T) {
	w := startIssuer(t, issuerSettings{registry: dpopRegistry, options: "dpop_nonce"})
	p := newProver(t)
	ask := func(changes ...func(*token.Proof)) tokenAnswer {
		return w.post(w.form("bound", "book:*:read"), "DPoP", p.proof("POST", w.tokenURL(), changes...))
	}
	first := ask()
	nonce := first.header.Get("DPoP-Nonce")
	if first.status != http.StatusBadRequest || first.Error != "use_dpop_nonce" || nonce == "" || first.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v", first, first.header)
	}
	p.boundTo(ask(withNonce(nonce)))
	p.boundTo(ask(withNonce(nonce), func(p *token.Proof) { p.IssuedAt = p.IssuedAt.Add(-time.Hour) })) // a wrong clock
	if a := ask(withNonce("AAAA" + nonce)); a.Error != "use_dpop_nonce" {
		t.Errorf("a nonce that was made up: %s", a)
	}
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	p.boundTo(ask(withNonce(nonce))) // after a reload
	w.granted(w.ask("demo", "book:*:read"))
}

// TestProofForTheAlias: a client that presents its certificate at the mtls_endpoint_aliases proves its key there, too.
func TestProofForTheAlias(t *testing.T) {
	w := startIssuer(t, issuerSettings{registry: dpopRegistry, options: "mtls_endpoint_aliases https://mtls.example.com"})
	p := newProver(t)
	for url, want := range map[string]int{
		"https://mtls.example.com/oauth2/token":  http.StatusOK,
		w.tokenURL():                             http.StatusOK,
		"https://other.example.com/oauth2/token": http.StatusBadRequest,
	} {
		a := w.post(w.form("bound", "book:*:read"), "DPoP", p.proof(http.MethodPost, url))
		if a.status != want {
			t.Errorf("%s: %s", url, a)
		}
	}
}
