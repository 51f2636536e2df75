package discovery

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestCheckSource(t *testing.T) {
	const name = "http://tenant.localhost:8080/uaa/oauth/token" // as in tokens of XSUAA
	for want, sources := range map[string][]Source{
		"": {
			{Issuer: "https://a.example"},
			{Issuer: "https://a.example", MetadataURL: "https://b.example/.well-known/openid-configuration?p=B2C_1"},
			{Issuer: "https://a.example", MetadataURL: "http://127.0.0.1:8080/meta"},
			{Issuer: name, JWKSURI: "https://b.example/token_keys"},
			{Issuer: "kubernetes/serviceaccount", JWKSURI: "https://b.example/openid/v1/jwks"},
			{Issuer: "accounts.google.com", MetadataURL: "https://accounts.google.com/.well-known/openid-configuration", JWKSOrigins: []string{"https://www.googleapis.com"}},
			{Issuer: "http://keycloak:8080/realms/a", PlainHTTP: true},
			{Issuer: "https://a.example", MetadataURL: "http://keycloak:8080/meta", PlainHTTP: true},
			{Issuer: "https://a.example", JWKSOrigins: []string{"http://keys:8080"}, PlainHTTP: true},
		},
		"exclude each other":      {{Issuer: "https://a.example", MetadataURL: "https://b.example", JWKSURI: "https://b.example"}},
		"has no effect beside":    {{Issuer: "https://a.example", JWKSURI: "https://b.example", JWKSOrigins: []string{"https://c.example"}}},
		"discovery must be https": {{Issuer: "https://a.example", MetadataURL: "http://b.example"}, {Issuer: "http://127.0.0.1", MetadataURL: "http://b.example"}},
		"jwks_uri must be https":  {{Issuer: "https://a.example", JWKSURI: "http://b.example"}, {Issuer: name, JWKSURI: "ftp://b.example"}},
		"jwks_uri must be an absolute URL without user": {
			{Issuer: "a", JWKSURI: "jwks"}, {Issuer: "a", JWKSURI: "https://u:hunter2@b.example"}, {Issuer: "a", JWKSURI: "https://b.example#a"},
		},
		"issuer must be https":                         {{Issuer: "http://tenant.example"}, {Issuer: "http://keycloak:8080"}},
		"issuer must be an absolute":                   {{Issuer: "accounts.google.com"}},
		"issuer must be a URL without query":           {{Issuer: "https://a.example?a=b"}},
		"issuer must not hold user information":        {{Issuer: "https://u:hunter2@a.example", JWKSURI: "https://b.example"}},
		"issuer must not be empty or hold white space": {{JWKSURI: "https://b.example"}, {Issuer: "a b", JWKSURI: "https://b.example"}, {Issuer: "a\x00", JWKSURI: "https://b.example"}},
		"http_network has no effect":                   {{Issuer: "https://a.example", PlainHTTP: true}, {Issuer: name, JWKSURI: "https://b.example", PlainHTTP: true}},
		"jwks_origin \"http://b.example\" must be":     {{Issuer: "https://a.example", JWKSOrigins: []string{"http://b.example"}}},
	} {
		for _, s := range sources {
			err := s.Check()
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: got %v, want %q", s, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%+v: %v", s, err)
			}
		}
	}
}

// TestSources: where the operator says that the metadata or the keys are, and what each may lead to.
func TestSources(t *testing.T) {
	for name, c := range map[string]struct {
		source  Source
		answers map[string]string
		asked   string // all requests
		problem string
	}{
		"another place for the metadata": {
			Source{Issuer: "https://a.example", MetadataURL: "https://b.example/meta"},
			map[string]string{"https://b.example/meta": `{"issuer":"https://a.example","jwks_uri":"https://b.example/jwks"}`, "https://b.example/jwks": "a"},
			"https://b.example/meta https://b.example/jwks", "",
		},
		"metadata elsewhere, keys at the issuer": {
			Source{Issuer: "https://a.example/t", MetadataURL: "https://b.example/meta"},
			map[string]string{"https://b.example/meta": `{"issuer":"https://a.example/t","jwks_uri":"https://a.example/jwks"}`, "https://a.example/jwks": "a"},
			"https://b.example/meta https://a.example/jwks", "",
		},
		"metadata elsewhere, keys at a third place": {
			Source{Issuer: "https://a.example", MetadataURL: "https://b.example/meta"},
			map[string]string{"https://b.example/meta": `{"issuer":"https://a.example","jwks_uri":"https://c.example/jwks"}`},
			"https://b.example/meta", "jwks_uri is on another origin, https://c.example; name it in jwks_origin",
		},
		"metadata elsewhere, of another issuer": {
			Source{Issuer: "https://login.example/t/v2.0", MetadataURL: "https://login.example/common/meta"},
			map[string]string{"https://login.example/common/meta": `{"issuer":"https://login.example/{tenantid}/v2.0","jwks_uri":"https://login.example/jwks"}`},
			"https://login.example/common/meta", `the document names another issuer, "https://login.example/{tenantid}/v2.0"`,
		},
		"keys without metadata": {
			Source{Issuer: "kubernetes/serviceaccount", JWKSURI: "https://b.example/jwks"}, map[string]string{"https://b.example/jwks": "a"},
			"https://b.example/jwks", "",
		},
		"keys that are not there": {
			Source{Issuer: "https://a.example", JWKSURI: "https://b.example/jwks"}, nil, "https://b.example/jwks", "fetching keys from https://b.example/jwks: status 404",
		},
		"a key in the query of jwks_uri": {
			Source{Issuer: "https://a.example", JWKSURI: "https://b.example/jwks?key=hunter2"}, nil, "https://b.example/jwks?key=hunter2",
			"fetching keys from https://b.example/jwks: status 404",
		},
		"a key in the query of discovery": {
			Source{Issuer: "https://a.example", MetadataURL: "https://b.example/meta?key=hunter2"}, nil, "https://b.example/meta?key=hunter2",
			"fetching https://b.example/meta: status 404",
		},
		"plain http by option": {
			Source{Issuer: "http://keycloak:8080/realms/a", PlainHTTP: true},
			map[string]string{
				"http://keycloak:8080/realms/a/.well-known/openid-configuration": `{"issuer":"http://keycloak:8080/realms/a","jwks_uri":"http://keycloak:8080/jwks"}`,
				"http://keycloak:8080/jwks":                                      "a",
			},
			"http://keycloak:8080/.well-known/oauth-authorization-server/realms/a http://keycloak:8080/realms/a/.well-known/openid-configuration http://keycloak:8080/jwks", "",
		},
		"the first document has no keys": {
			Source{Issuer: "https://a.example"},
			map[string]string{
				"https://a.example/.well-known/oauth-authorization-server": `{"issuer":"https://a.example","token_endpoint":"https://a.example/token"}`,
				"https://a.example/.well-known/openid-configuration":       `{"issuer":"https://a.example","jwks_uri":"https://a.example/jwks"}`,
				"https://a.example/jwks":                                   "a",
			},
			"https://a.example/.well-known/oauth-authorization-server https://a.example/.well-known/openid-configuration https://a.example/jwks", "",
		},
		"odd members that do not matter": {
			Source{Issuer: "https://a.example", MetadataURL: "https://a.example/meta"},
			map[string]string{
				"https://a.example/meta": `{"issuer":"https://a.example","jwks_uri":"https://a.example/jwks","token_endpoint":"http://internal/token",
					"scopes_supported":"openid","grant_types_supported":null,"token_endpoint_auth_methods_supported":[1]}`,
				"https://a.example/jwks": "a",
			},
			"https://a.example/meta https://a.example/jwks", "",
		},
		"an odd feed": {
			Source{Issuer: "https://a.example", MetadataURL: "https://a.example/meta"},
			map[string]string{"https://a.example/meta": `{"issuer":"https://a.example","jwks_uri":"https://a.example/jwks","m2m_revocations_uri":7}`},
			"https://a.example/meta", "not a JSON object of metadata",
		},
		"a name that is long and holds a password": {
			Source{Issuer: "https://a.example", MetadataURL: "https://a.example/meta"},
			map[string]string{"https://a.example/meta": `{"issuer":"https://u:hunter2@b.example/\u0000` + strings.Repeat("x", 1000) + `"}`},
			"https://a.example/meta", `names another issuer, "https://b.example/\x00xxx`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.source.Check(); err != nil {
				t.Fatal(err)
			}
			n := newNetwork()
			var asked []string
			for url, body := range c.answers {
				n.serve(url, body)
			}
			k := NewKeys(t.Context(), Config[[]string]{
				Source: c.source, Parse: parseWords,
				Client: &http.Client{Transport: recorded{n, &asked}},
				Has:    func(words []string, kid string) bool { return slices.Contains(words, kid) },
			})
			defer k.Close()
			_, err := k.Get(t.Context(), "a", DefaultStaleFor)
			if (err == nil) != (c.problem == "") || err != nil && (!strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 500) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
			if got := strings.Join(asked, " "); got != c.asked {
				t.Errorf("asked for %s, want %s", got, c.asked)
			}
		})
	}
}

// recorded is a network that lists its requests in order.
type recorded struct {
	*network
	asked *[]string
}

func (r recorded) RoundTrip(request *http.Request) (*http.Response, error) {
	*r.asked = append(*r.asked, request.URL.String())
	return r.network.RoundTrip(request)
}
