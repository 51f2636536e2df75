package door

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// TestStolenTokens: a token that is bound to a key is of no use without the proof of that key, at a door with any setting, also
// right after its owner has used it there.
func TestStolenTokens(t *testing.T) {
	w := newBoundWorld(t)
	plain := w.token(token.Confirmation{})
	byCert := w.token(token.Confirmation{X5TS256: thumbprintOf(w.certA)})
	byKey := w.token(token.Confirmation{JKT: w.client.ID()})
	byBoth := w.token(token.Confirmation{JKT: w.client.ID(), X5TS256: thumbprintOf(w.certA)})
	proof := func(raw string) string { return w.proof(w.client, raw, nil) }
	later := func(p *token.Proof) { p.IssuedAt = p.IssuedAt.Add(-10 * time.Minute) }
	with := func(change func(*token.Proof)) string { return w.proof(w.client, byKey, change) }
	const client, fake = "Client-Cert", "Client_Cert"
	for _, test := range []struct {
		name   string
		r      *http.Request
		reason string
	}{
		{"plain", sent("Bearer "+plain, nil), ""},
		{"plain, with a certificate", sent("Bearer "+plain, w.certA), ""},
		{"plain, with a proof that nobody needs", sent("Bearer "+plain, nil, "DPoP", "x"), ""},
		{"plain, by the scheme DPoP", sent("DPoP "+plain, nil, "DPoP", proof(plain)), "not_bound"},

		{"the certificate", sent("Bearer "+byCert, w.certA), ""},
		{"the certificate again", sent("Bearer "+byCert, w.certA), ""},
		{"another certificate", sent("Bearer "+byCert, w.certB), "wrong_certificate"},
		{"no certificate", sent("Bearer "+byCert, nil), "missing_certificate"},
		{"no TLS", func() *http.Request { r := sent("Bearer "+byCert, nil); r.TLS = nil; return r }(), "missing_certificate"},
		{"the header of a stranger", sent("Bearer "+byCert, nil, client, headerOf(w.certA)), "missing_certificate"},
		{"the header of a stranger with a certificate", sent("Bearer "+byCert, w.certB, client, headerOf(w.certA)), "wrong_certificate"},
		{"the header in another spelling", sent("Bearer "+byCert, w.certB, fake, headerOf(w.certA)), "wrong_certificate"},
		{"the header of a proxy where it is not enabled", sent("Bearer "+byCert, nil, client, headerOf(w.certA), "from", proxyAddress), "missing_certificate"},
		{"the certificate, by the scheme DPoP", sent("DPoP "+byCert, w.certA, "DPoP", proof(byCert)), "not_bound"},

		{"the key", sent("DPoP "+byKey, nil, "DPoP", proof(byKey)), ""},
		{"as a bearer token", sent("Bearer "+byKey, nil), "missing_proof"},
		{"as a bearer token with a proof", sent("Bearer "+byKey, nil, "DPoP", proof(byKey)), "missing_proof"},
		{"no proof", sent("DPoP "+byKey, nil), "missing_proof"},
		{"an empty proof", sent("DPoP "+byKey, nil, "DPoP", ""), "proof_malformed"},
		{"two proofs", sent("DPoP "+byKey, nil, "DPoP", proof(byKey), "DPoP", proof(byKey)), "proof_several_proofs"},
		{"the proof of another key", sent("DPoP "+byKey, nil, "DPoP", w.proof(w.thief, byKey, nil)), "wrong_key"},
		{"the proof for another token", sent("DPoP "+byKey, nil, "DPoP", proof(plain)), "proof_wrong_token"},
		{"the proof of a token request", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.TokenHash = "" })), "proof_wrong_token"},
		{"another method", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.Method = "POST" })), "proof_wrong_method"},
		{"another path", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.URL += "/1" })), "proof_wrong_url"},
		{"another host", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.URL = "https://other.example.com/books" })), "proof_wrong_url"},
		{"another host that a stranger names", sent("DPoP "+byKey, nil, "X-Forwarded-Host", "other.example.com",
			"DPoP", with(func(p *token.Proof) { p.URL = "https://other.example.com/books" })), "proof_wrong_url"},
		{"another scheme", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.URL = "http://api.example.com/books" })), "proof_wrong_url"},
		{"an old proof", sent("DPoP "+byKey, nil, "DPoP", with(later)), "proof_expired"},
		{"the certificate of another", sent("Bearer "+byKey, w.certA), "missing_proof"},

		{"both", sent("DPoP "+byBoth, w.certA, "DPoP", proof(byBoth)), ""},
		{"both, without the certificate", sent("DPoP "+byBoth, nil, "DPoP", proof(byBoth)), "missing_certificate"},
		{"both, another certificate", sent("DPoP "+byBoth, w.certB, "DPoP", proof(byBoth)), "wrong_certificate"},
		{"both, without the proof", sent("DPoP "+byBoth, w.certA), "missing_proof"},
		{"both, as a bearer token", sent("Bearer "+byBoth, w.certA), "missing_proof"},
		{"both, another key", sent("DPoP "+byBoth, w.certA, "DPoP", w.proof(w.thief, byBoth, nil)), "wrong_key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := w.door(nil)
			fresh := test.r.Clone(t.Context())
			answer := wantAnswer(t, d, test.r, test.reason)
			if test.reason == "" {
				return
			}
			scheme := "Bearer "
			if strings.Contains(fresh.Header.Get("Authorization"), byKey) || strings.Contains(fresh.Header.Get("Authorization"), byBoth) ||
				strings.HasPrefix(fresh.Header.Get("Authorization"), "DPoP") {
				scheme = "DPoP "
			}
			challenge := answer.Header().Get("WWW-Authenticate")
			code := "invalid_token"
			if strings.HasPrefix(test.reason, "proof_") {
				code = "invalid_dpop_proof"
			}
			if answer.Code != http.StatusUnauthorized || !strings.HasPrefix(challenge, scheme+`error="`+code+`"`) ||
				strings.Contains(challenge, "algs=") != (scheme == "DPoP ") {
				t.Errorf("%d %s", answer.Code, challenge)
			}
			// The owner uses the token. The thief is refused as before.
			wantAnswer(t, d, sent("Bearer "+byCert, w.certA), "")
			wantAnswer(t, d, sent("DPoP "+byKey, nil, "DPoP", proof(byKey)), "")
			wantAnswer(t, d, sent("DPoP "+byBoth, w.certA, "DPoP", proof(byBoth)), "")
			wantAnswer(t, d, fresh, test.reason)
		})
	}
}

// TestProofsAreUsedOnce: a proof that was seen lets in nobody, also with the same token.
func TestProofsAreUsedOnce(t *testing.T) {
	w := newBoundWorld(t)
	d := w.door(nil)
	raw := w.token(token.Confirmation{JKT: w.client.ID()})
	proof := w.proof(w.client, raw, nil)
	for n := range 3 {
		want := ""
		if n > 0 {
			want = "proof_replayed"
		}
		wantAnswer(t, d, sent("DPoP "+raw, nil, "DPoP", proof), want)
	}
	noProofs := w.door(func(c *Config) { c.Binding.Proofs = nil })
	wantAnswer(t, noProofs, sent("DPoP "+raw, nil, "DPoP", w.proof(w.client, raw, nil)), "sender_constrained")
}

// TestNonces: a door that wants nonces sends one, and takes a proof with it.
func TestNonces(t *testing.T) {
	w := newBoundWorld(t)
	d := w.door(func(c *Config) { c.Binding.Proofs.Nonces = dpop.NewNonces("door") })
	raw := w.token(token.Confirmation{JKT: w.client.ID()})
	refused := wantAnswer(t, d, sent("DPoP "+raw, nil, "DPoP", w.proof(w.client, raw, nil)), "use_dpop_nonce")
	nonce := refused.Header().Get("DPoP-Nonce")
	if !strings.HasPrefix(refused.Header().Get("WWW-Authenticate"), `DPoP error="use_dpop_nonce"`) || nonce == "" {
		t.Errorf("%v", refused.Header())
	}
	wantAnswer(t, d, sent("DPoP "+raw, nil, "DPoP", w.proof(w.client, raw, func(p *token.Proof) { p.Nonce = nonce })), "")
}

// TestRequiredBinding: a door that requires binding refuses all other tokens, and says which it wants.
func TestRequiredBinding(t *testing.T) {
	w := newBoundWorld(t)
	plain := w.token(token.Confirmation{})
	byCert := w.token(token.Confirmation{X5TS256: thumbprintOf(w.certA)})
	byKey := w.token(token.Confirmation{JKT: w.client.ID()})
	byBoth := w.token(token.Confirmation{JKT: w.client.ID(), X5TS256: thumbprintOf(w.certA)})
	for _, test := range []struct {
		required         []string
		plain, cert, key string // the reasons
		missing          string // the challenge of a request without a token
	}{
		{nil, "", "", "", `Bearer realm="protected resource"`},
		{[]string{"dpop"}, "not_bound", "not_bound", "", `DPoP algs="`},
		{[]string{"mtls"}, "not_bound", "", "not_bound", `Bearer realm="protected resource"`},
		{[]string{"dpop", "mtls"}, "not_bound", "", "", `Bearer realm="protected resource", DPoP algs="`},
	} {
		t.Run(strings.Join(test.required, " "), func(t *testing.T) {
			d := w.door(func(c *Config) { c.Binding.Required, c.NoMetadata = test.required, true })
			wantAnswer(t, d, sent("Bearer "+plain, w.certA), test.plain)
			wantAnswer(t, d, sent("Bearer "+byCert, w.certA), test.cert)
			wantAnswer(t, d, sent("DPoP "+byKey, nil, "DPoP", w.proof(w.client, byKey, nil)), test.key)
			wantAnswer(t, d, sent("DPoP "+byBoth, w.certA, "DPoP", w.proof(w.client, byBoth, nil)), "")
			wantAnswer(t, d, sent("DPoP "+byBoth, w.certB, "DPoP", w.proof(w.client, byBoth, nil)), "wrong_certificate")
			missing := wantAnswer(t, d, sent("", w.certA), "missing_token")
			if got := missing.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, test.missing) || !strings.Contains(test.missing, "algs") && got != test.missing {
				t.Errorf("%s, want %s", got, test.missing)
			}
		})
	}
	for _, bad := range [][]string{{"x"}, {""}, {"dpop", "dpop"}, {"DPoP"}} {
		if err := CheckBound(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// BenchmarkBound compares requests with remembered tokens: a plain one, and one that is bound to the certificate of its
// connection.
func BenchmarkBound(b *testing.B) {
	w := newBoundWorld(b)
	for name, bound := range map[string]token.Confirmation{
		"plain":       {},
		"certificate": {X5TS256: thumbprintOf(w.certA)},
	} {
		b.Run(name, func(b *testing.B) {
			d, raw := w.door(nil), w.token(bound)
			next := handlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
			answer := httptest.NewRecorder()
			base := sent("Bearer "+raw, w.certA, "User-Agent", "bench", "Accept", "*/*")
			b.ReportAllocs()
			for b.Loop() {
				r := base.WithContext(base.Context())
				r.Header = base.Header.Clone()
				if err := d.ServeHTTP(answer, r, next); err != nil || answer.Code != http.StatusOK {
					b.Fatal(err, answer.Code)
				}
			}
		})
	}
}

func has(r *http.Request, field string) bool { return len(r.Header.Values(field)) > 0 }

// TestPolicySeesNoProof: a proof is a credential, which stays out of the policy's input and of the decision log.
func TestPolicySeesNoProof(t *testing.T) {
	for _, name := range []string{"DPoP", "dpop", "X-DPoP-Proof"} {
		if err := CheckPolicyHeaders([]string{name}, nil); err == nil {
			t.Errorf("a policy reads %s", name)
		}
	}
}

// TestBadBinding: settings that contradict each other are an error on load, however they are written.
func TestBadBinding(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.Binding.Required = []string{"tls"} },
		func(c *Config) { c.Binding.Certificates.Header = "a b" },
		func(c *Config) { c.Binding.Certificates.Header = "authorization" },
		func(c *Config) { c.Binding.Certificates.Header = "X_Forwarded_For" },
		func(c *Config) { c.Binding.Certificates.Header = "dpop" },
		func(c *Config) { c.Binding.Certificates.Header = "x_client_id" },
		func(c *Config) { c.Binding.Certificates.Header = "X-Original-Url" },
		func(c *Config) { c.Binding.Certificates.Header = "X-HTTP-Method-Override" },
		func(c *Config) {
			c.Binding.Certificates.Header, c.Headers = "Client-Cert", map[string]string{"client-cert": "certificate"}
		},
		func(c *Config) { c.Headers = map[string]string{"dpop": "jti"} }, // the door would remove the proof
		func(c *Config) { c.Binding.Required, c.ForwardAuth = []string{"mtls"}, sameRequest },
	} {
		c := Config{Issuers: []*TrustedIssuer{{Expect: token.Expect{Issuer: testIssuer}}}, Audience: []string{"api"}, Host: testHost{}}
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c.Binding)
		}
	}
}

// receivingHost is a host that has changed the method and the path of requests, as the directives method and handle_path do.
type receivingHost struct{ proxyHost }

func (receivingHost) Received(r *http.Request) (string, *url.URL) {
	return http.MethodPost, &url.URL{Path: "/api" + r.URL.Path}
}

// TestProofIsForTheRequestThatWasReceived: directives before the door change the request, and not what the client has signed.
func TestProofIsForTheRequestThatWasReceived(t *testing.T) {
	w := newBoundWorld(t)
	d := w.door(func(c *Config) { c.Host = receivingHost{} })
	raw := w.token(token.Confirmation{JKT: w.client.ID()})
	for _, test := range []struct{ method, path, reason string }{
		{"POST", "/api/books", ""}, {"POST", "/books", "proof_wrong_url"}, {"GET", "/api/books", "proof_wrong_method"},
	} {
		proof := w.proof(w.client, raw, func(p *token.Proof) { p.Method, p.URL = test.method, boundAudience+test.path })
		wantAnswer(t, d, sent("DPoP "+raw, nil, "DPoP", proof), test.reason)
	}
}
