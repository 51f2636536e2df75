package caddymodule_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// dpopClient is a client as RFC 9449 describes it: it has a nonce for each server, and sends a request again once if the server
// asks for another.
type dpopClient struct {
	*prover
	w      *issuerWorld
	nonces map[string]string // by the server's URL
	asked  int               // how often a server has asked for a nonce
	proofs []string          // that were sent
}

func newDPoPClient(w *issuerWorld) *dpopClient {
	return &dpopClient{prover: newProver(w.t), w: w, nonces: make(map[string]string)}
}

// send sends a request with a proof, and with a token if there is one.
func (c *dpopClient) send(method, target, body, raw string) tokenAnswer {
	c.t.Helper()
	for range 2 {
		a := c.sendOnce(method, target, body, raw)
		server := c.serverOf(target)
		if nonce := a.header.Get("DPoP-Nonce"); nonce != "" {
			c.nonces[server] = nonce
		}
		if a.Error != "use_dpop_nonce" && !strings.Contains(a.header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
			return a
		}
		c.asked++
	}
	c.t.Fatalf("%s asks for a nonce again", target)
	return tokenAnswer{}
}

// serverOf tells the door of the tests from the issuer on the same host.
func (*dpopClient) serverOf(target string) string {
	u, _ := url.Parse(target)
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return u.Host + "/" + first
}

func (c *dpopClient) sendOnce(method, target, body, raw string) tokenAnswer {
	c.t.Helper()
	proof := c.proof(method, target, withNonce(c.nonces[c.serverOf(target)]), func(p *token.Proof) {
		if raw != "" {
			hash := sha256.Sum256([]byte(raw))
			p.TokenHash = base64.RawURLEncoding.EncodeToString(hash[:])
		}
	})
	c.proofs = append(c.proofs, proof)
	header := []string{"DPoP", proof, "Content-Type", "application/x-www-form-urlencoded"}
	if raw != "" {
		header = []string{"DPoP", proof, "Authorization", "DPoP " + raw}
	}
	return c.w.do(c.w.request(method, target, strings.NewReader(body), header...))
}

// TestDPoPFromTokenToCall: a client gets a token with a proof and uses it with proofs, over real connections. Issuer and door
// both ask for nonces. The door is reached by the path that the client has sent, whatever directives made of it.
func TestDPoPFromTokenToCall(t *testing.T) {
	const door = "m2m_auth {\naudience URL\nbound dpop\ndpop_nonce\nrequire /books book:*:read\n}\nrespond \"hello {http.auth.user.client_id}\"\n"
	address := servertest.FreeURL(t)
	w := startIssuer(t, issuerSettings{
		url: address, registry: dpopRegistry, options: "dpop_nonce",
		site: "log\nhandle_path /api/* {\n" + strings.ReplaceAll(door, "URL", address) + "}\nhandle /v1/* {\nuri strip_prefix /v1\n" +
			strings.ReplaceAll(door, "URL", address) + "}\n",
	})
	c := newDPoPClient(w)
	a := c.send(http.MethodPost, w.tokenURL(), w.form("bound", "book:*:read"), "")
	c.boundTo(a)
	raw := *a.AccessToken
	for _, path := range []string{"/api/books", "/api/books?page=2", "/v1/books", "/%61pi/books", "/api/books"} {
		if a := c.send(http.MethodGet, w.url+path, "", raw); a.status != http.StatusOK || a.body != "hello bound" {
			t.Errorf("%s: %s %v", path, a, a.header)
		}
	}
	if c.asked != 3 { // the issuer once, and the door once for each of its two paths, as the client counts servers
		t.Errorf("asked for a nonce %d times", c.asked)
	}

	thief := newDPoPClient(w)
	if a := thief.send(http.MethodGet, w.url+"/api/books", "", raw); a.status != http.StatusUnauthorized {
		t.Errorf("another key: %s", a)
	}
	challenge := c.sendOnce(http.MethodGet, w.url+"/other", "", raw) // not the door
	if challenge.status == http.StatusUnauthorized {
		t.Errorf("%s", challenge)
	}
	replay := c.proofs[len(c.proofs)-2]
	replayed := w.do(w.request(http.MethodGet, w.url+"/api/books", nil, "Authorization", "DPoP "+raw, "DPoP", replay))
	if replayed.status != http.StatusUnauthorized || !strings.HasPrefix(replayed.header.Get("WWW-Authenticate"), `DPoP error="invalid_dpop_proof"`) ||
		!strings.Contains(replayed.header.Get("WWW-Authenticate"), `algs="ES256 `) {
		t.Errorf("replayed: %s %v", replayed, replayed.header)
	}

	servertest.Eventually(t, "the requests are logged", func() bool { return len(w.LogLines("http.log.access")) >= len(c.proofs) })
	for line := range strings.Lines(w.Log()) {
		for _, proof := range append(c.proofs, raw) {
			parts := strings.Split(proof, ".")
			leaks := strings.Contains(line, parts[1]) || strings.Contains(line, parts[2])
			if leaks && !strings.Contains(line, `"logger":"http.handlers.rewrite"`) { // Caddy's own debug line shows all headers
				t.Fatalf("the log has a proof or the token: %.200s", line)
			}
		}
	}
}
