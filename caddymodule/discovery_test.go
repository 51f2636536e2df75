package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

type metadata struct {
	Issuer        string   `json:"issuer"`
	Token         string   `json:"token_endpoint"`
	JWKS          string   `json:"jwks_uri"`
	Authorization string   `json:"authorization_endpoint"`
	Scopes        []string `json:"scopes_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	Grants        []string `json:"grant_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Subjects      []string `json:"subject_types_supported"`
	IDTokenAlgs   []string `json:"id_token_signing_alg_values_supported"`

	Introspection        string   `json:"introspection_endpoint"`
	IntrospectionMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgs    []string `json:"introspection_signing_alg_values_supported"`
	CodeChallenges       []string `json:"code_challenge_methods_supported"`
	Revocation           string   `json:"revocation_endpoint"`
	RevocationMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
}

const catalogueScopes = "[announce:*:read announce:*:update book:*:edit book:*:read customer:*:read film:*:read revenue:*:create revenue:*:read revenue:*:update user-growth:*:read]"

// wellKnown are the addresses of both documents of an issuer.
func wellKnown(issuer string) (openID, server string) {
	u, _ := url.Parse(issuer)
	return issuer + "/.well-known/openid-configuration", u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + u.Path
}

func (w *issuerWorld) metadata(address string) (m metadata) {
	w.t.Helper()
	a := w.get(address)
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		w.t.Fatalf("%s: %s %v", address, a, a.header)
	}
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestDiscoveryDocuments reads both documents of an issuer. They are the same, because programs apply the schema of one to the
// other.
func TestDiscoveryDocuments(t *testing.T) {
	for name, path := range map[string]string{"at the root": "", "below a path": "/tenants/one"} {
		t.Run(name, func(t *testing.T) {
			w := startIssuer(t, issuerSettings{url: servertest.FreeURL(t) + path, options: "signing_alg EdDSA"})
			openID, server := wellKnown(w.url)
			m := w.metadata(openID)
			w.checkMetadata(m)
			if a, b := w.get(openID).body, w.get(server).body; a != b {
				t.Errorf("%s is %s, and %s is %s", openID, a, server, b)
			}
			if !slices.Equal(m.Subjects, []string{"public"}) || !slices.Equal(m.IDTokenAlgs, []string{"EdDSA"}) {
				t.Errorf("the members of OpenID Connect are %+v", m)
			}
			if m.Authorization != w.url+"/oauth2/authorize" || !slices.Equal(m.CodeChallenges, []string{"S256"}) {
				t.Errorf("the members for codes are %+v", m)
			}
			refusedToken(t, w.get(m.Authorization+"?response_type=code&client_id=demo"), http.StatusBadRequest, "unsupported_response_type")
			refusedToken(t, w.do(w.request(http.MethodPost, m.Authorization, nil)), http.StatusBadRequest, "unsupported_response_type")
		})
	}
}

// checkMetadata holds a document against what the server does.
func (w *issuerWorld) checkMetadata(m metadata) {
	w.t.Helper()
	if m.Issuer != w.url || fmt.Sprint(m.Scopes) != catalogueScopes || m.ResponseTypes == nil || len(m.ResponseTypes) != 0 {
		w.t.Errorf("the document is %+v", m)
	}
	if !slices.Contains(m.Grants, "client_credentials") || !slices.Contains(m.Grants, exchangeGrant) || !slices.Equal(m.AuthMethods, []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}) {
		w.t.Errorf("the document is %+v", m)
	}
	for endpoint, methods := range map[string][]string{m.Introspection: m.IntrospectionMethods, m.Revocation: m.RevocationMethods} {
		response, err := w.client.PostForm(endpoint, url.Values{"token": {"x"}, "client_id": {"demo"}, "client_secret": {w.secret}})
		if err != nil || response.StatusCode != http.StatusOK || !slices.Equal(methods, m.AuthMethods) {
			w.t.Errorf("%s with %q answers %v, %v", endpoint, methods, response, err)
		}
		response.Body.Close()
	}
	response, err := w.client.PostForm(m.Token, url.Values{"grant_type": {"client_credentials"}, "scope": m.Scopes[:1], "client_id": {"demo"}, "client_secret": {w.secret}})
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Errorf("the token endpoint answers %v, %v", response, err)
	}
	response.Body.Close()
	if a := w.get(m.JWKS); a.status != http.StatusOK || !strings.Contains(a.body, `"kid"`) {
		w.t.Errorf("the keys are %s", a)
	}
}

func TestPublicDocumentsCanBeCached(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	openID, server := wellKnown(w.url)
	for _, address := range []string{openID, server, w.url + "/oauth2/jwks"} {
		t.Run(strings.TrimPrefix(address, w.url), func(t *testing.T) {
			w := w.in(t)
			first := w.get(address)
			etag := first.header.Get("ETag")
			if first.status != http.StatusOK || etag == "" || first.header.Get("Cache-Control") != "public, max-age=300" {
				t.Fatalf("got %s %v", first, first.header)
			}
			if again := w.get(address, "If-None-Match", etag); again.status != http.StatusNotModified || again.body != "" || again.header.Get("ETag") != etag {
				t.Errorf("with its ETag: %s %v", again, again.header)
			}
			if other := w.get(address, "If-None-Match", `"other"`); other.body != first.body {
				t.Errorf("with another ETag: %s", other)
			}
			head := w.do(w.request(http.MethodHead, address, nil))
			if head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != fmt.Sprint(len(first.body)) {
				t.Errorf("HEAD: %s %v", head, head.header)
			}
			post := w.do(w.request(http.MethodPost, address, nil))
			refusedToken(t, post, http.StatusMethodNotAllowed, "invalid_request")
			if post.header.Get("Allow") != "GET, HEAD, OPTIONS" {
				t.Errorf("Allow is %q", post.header.Get("Allow"))
			}
		})
	}
}

// TestTwoIssuersOnOneSite: each has its own routes, keys and tokens.
func TestTwoIssuersOnOneSite(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{})
	one, two := w.url+"/one", w.url+"/one/two"
	config := fmt.Sprintf("{\nm2m {\nissuer %[1]s {\nregistry file %[3]s/registry.yaml\n}\nissuer %[2]s {\nregistry file %[3]s/registry.yaml\n}\n}\n}\n%[4]s {\nm2m_issuer %[1]s\nm2m_issuer %[2]s\n}\n", one, two, w.dir, w.url)
	if err := w.Load(config); err != nil {
		t.Fatal(err)
	}
	kids := make(map[string]bool)
	for _, issuer := range []string{one, two} {
		w.url = issuer
		openID, server := wellKnown(issuer)
		w.checkMetadata(w.metadata(openID))
		w.checkMetadata(w.metadata(server))
		a := w.ask("demo", "book:read")
		w.granted(a)
		token := w.parsed(*a.AccessToken)
		kids[token.Header["kid"].(string)] = true
		if aud := w.verified(*a.AccessToken)["aud"]; aud != issuer {
			t.Errorf("aud is %v", aud)
		}
	}
	if len(kids) != 2 {
		t.Error("two issuers share a key")
	}
}

// TestIssuerIsNeverTakenFromTheRequest: neither Host nor a forwarded header changes a URL.
func TestIssuerIsNeverTakenFromTheRequest(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{})
	host := strings.TrimPrefix(w.url, "http://")
	if err := w.Load(strings.Replace(w.caddyfile(), "\nhttp://"+host, "\n"+strings.TrimPrefix(host, "127.0.0.1"), 1)); err != nil {
		t.Fatal(err)
	}
	forge := func(request *http.Request) tokenAnswer {
		request.Host = "evil.example.com"
		for name, value := range map[string]string{"X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example.com"} {
			request.Header.Set(name, value)
		}
		return w.do(request)
	}
	openID, server := wellKnown(w.url)
	for _, address := range []string{openID, server} {
		if a := forge(w.request(http.MethodGet, address, nil)); a.status != http.StatusOK || strings.Contains(a.body, "evil") {
			t.Errorf("%s: %s", address, a)
		}
	}
	a := forge(w.request(http.MethodPost, w.tokenURL(), strings.NewReader(w.form("demo", "book:read")), "Content-Type", formType))
	w.granted(a)
	if claims := w.verified(*a.AccessToken); claims["iss"] != w.url || claims["aud"] != w.url {
		t.Errorf("the claims are %v", claims)
	}
}
