package oauth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheckIssuer(t *testing.T) {
	cases := map[string]bool{
		"https://auth.example.com":             true,
		"https://auth.example.com:8443":        true,
		"https://auth.example.com/tenants/a-1": true,
		"https://192.0.2.1":                    true,
		"https://[2001:db8::1]:8443/a":         true,
		"http://localhost:8080":                true,
		"http://auth.localhost:8080":           true,
		"http://a.b.localhost":                 true,
		"http://127.0.0.1:8080/a":              true,
		"http://127.1.2.3":                     true,
		"http://[::1]:8080":                    true,
		"http://localhost:443":                 true,

		"": false, "auth.example.com": false, "https://": false, "https:auth.example.com": false, "https:///a": false,
		"http://auth.example.com":                       false,
		"http://localhost.example.com":                  false,
		"http://mylocalhost":                            false,
		"http://10.0.0.1":                               false,
		"http://127.0.0.1.example.com":                  false,
		"ftp://auth.example.com":                        false,
		"HTTPS://auth.example.com":                      false,
		"https://Auth.example.com":                      false,
		"https://auth.example.com.":                     false,
		"https://auth..example.com":                     false,
		"https://auth_1.example.com":                    false,
		"https://aüth.example.com":                      false,
		"https://auth%2eexample.com":                    false,
		"https://auth.example.com:443":                  false,
		"https://auth.example.com:":                     false,
		"https://auth.example.com:08443":                false,
		"https://auth.example.com:0":                    false,
		"https://auth.example.com:99999":                false,
		"http://localhost:80":                           false,
		"https://[2001:DB8::1]":                         false,
		"https://[2001:db8:0::1]":                       false,
		"https://[::1%25eth0]":                          false,
		"https://user@auth.example.com":                 false,
		"https://user:pw@auth.example.com":              false,
		"https://@auth.example.com":                     false,
		"https://auth.example.com?":                     false,
		"https://auth.example.com?a=b":                  false,
		"https://auth.example.com#":                     false,
		"https://auth.example.com#a":                    false,
		"https://auth.example.com/":                     false,
		"https://auth.example.com/a/":                   false,
		"https://auth.example.com//a":                   false,
		"https://auth.example.com/a/../b":               false,
		"https://auth.example.com/./a":                  false,
		"https://auth.example.com/%61":                  false,
		"https://auth.example.com/a b":                  false,
		"https://auth.example.com/é":                    false,
		"https://auth.example.com/a;b":                  false,
		"https://auth.example.com/a\\b":                 false,
		"https://auth.example.com/a\n":                  false,
		" https://auth.example.com":                     false,
		"https://a.example/" + strings.Repeat("a", 512): false,
	}
	for issuer, ok := range cases {
		err := CheckIssuer(issuer)
		if (err == nil) != ok {
			t.Errorf("%q: %v", issuer, err)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v shows the password", issuer, err)
		}
	}
}

func TestWellKnownPaths(t *testing.T) {
	cases := map[string][2]string{
		"https://auth.example.com":     {"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"},
		"https://auth.example.com/":    {"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"},
		"https://auth.example.com/a/b": {"/a/b/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/a/b"},
		"://":                          {"", ""},
	}
	for issuer, want := range cases {
		if openID, server := WellKnownPaths(issuer); openID != want[0] || server != want[1] {
			t.Errorf("%s: %s, %s", issuer, openID, server)
		}
	}
}

func TestResourceMetadataURL(t *testing.T) {
	const path = "/.well-known/oauth-protected-resource"
	cases := map[string]struct{ url, path string }{
		"https://api.example.com":        {"https://api.example.com" + path, path},
		"https://api.example.com/":       {"https://api.example.com" + path, path},
		"http://localhost:8080/v1":       {"http://localhost:8080" + path + "/v1", path + "/v1"},
		"https://api.example.com/a%20b":  {"https://api.example.com" + path + "/a%20b", path + "/a b"},
		"https://api.example.com/v1?a=b": {"https://api.example.com" + path + "/v1?a=b", path + "/v1"},
		"https://api.example.com?a=b":    {"https://api.example.com" + path + "?a=b", path},

		"": {}, "books": {}, "urn:example:api": {}, "https:///v1": {}, "ftp://api.example.com": {},
		"https://api.example.com#": {}, "https://api.example.com#a": {}, "https://u@api.example.com": {},
	}
	for resource, want := range cases {
		url, path, ok := ResourceMetadataURL(resource)
		if url != want.url || path != want.path || ok != (want.url != "") {
			t.Errorf("%s: %s, %s, %v", resource, url, path, ok)
		}
	}
}

func TestMetadata(t *testing.T) {
	const issuer = "https://auth.example.com/a"
	server := NewServerMetadata(issuer, Supported{Scopes: []string{"book:read"}, SigningAlgs: []string{"ES256"}, GrantTypes: []string{GrantClientCredentials}, AuthMethods: []string{ClientSecretBasic, ClientSecretPost}, AuthAlgs: []string{"ES256"}})
	const want = `{"issuer":"https://auth.example.com/a","authorization_endpoint":"https://auth.example.com/a/oauth2/authorize",` +
		`"token_endpoint":"https://auth.example.com/a/oauth2/token",` +
		`"jwks_uri":"https://auth.example.com/a/oauth2/jwks","scopes_supported":["book:read"],"response_types_supported":[],` +
		`"grant_types_supported":["client_credentials"],"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],` +
		`"introspection_endpoint":"https://auth.example.com/a/oauth2/introspect",` +
		`"introspection_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],` +
		`"introspection_signing_alg_values_supported":["ES256"],"revocation_endpoint":"https://auth.example.com/a/oauth2/revoke",` +
		`"revocation_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],` +
		`"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256"],"request_uri_parameter_supported":false,` +
		`"code_challenge_methods_supported":["S256"],"m2m_revocations_uri":"https://auth.example.com/a/oauth2/revocations"}`
	cases := map[string]struct {
		value any
		want  string
	}{
		"server": {server, want},
		"resource": {NewResourceMetadata("https://api.example.com", []string{issuer}, nil, ResourceBinding{}),
			`{"resource":"https://api.example.com","authorization_servers":["https://auth.example.com/a"],"bearer_methods_supported":["header"]}`},
		"resource for bound tokens": {NewResourceMetadata("https://api.example.com", nil, nil, ResourceBinding{true, []string{"ES256"}, true}),
			`{"resource":"https://api.example.com","bearer_methods_supported":["header"],"tls_client_certificate_bound_access_tokens":true,` +
				`"dpop_signing_alg_values_supported":["ES256"],"dpop_bound_access_tokens_required":true}`},
	}
	for name, c := range cases {
		got, err := json.Marshal(c.value)
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n%s, want\n%s (%v)", name, got, c.want, err)
		}
	}
}

func TestDocument(t *testing.T) {
	d := NewJSONDocument(NewResourceMetadata("https://api.example.com", []string{"https://auth.example.com"}, nil, ResourceBinding{}), 5*time.Minute)
	get := func(method, ifNoneMatch string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/", nil)
		if ifNoneMatch != "" {
			r.Header.Set("If-None-Match", ifNoneMatch)
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		return w
	}
	first := get(http.MethodGet, "")
	etag := first.Header().Get("ETag")
	if first.Code != 200 || !json.Valid(first.Body.Bytes()) || first.Header().Get("Content-Type") != "application/json" ||
		first.Header().Get("Cache-Control") != "public, max-age=300" || !strings.HasPrefix(etag, `"`) {
		t.Errorf("got %d %v %s", first.Code, first.Header(), first.Body)
	}
	cases := map[string]struct {
		method, ifNoneMatch string
		status, length      int
	}{
		"HEAD":       {http.MethodHead, "", 200, 0},
		"known":      {http.MethodGet, etag, 304, 0},
		"weak":       {http.MethodGet, "W/" + etag, 304, 0},
		"other":      {http.MethodGet, `"x"`, 200, first.Body.Len()},
		"known HEAD": {http.MethodHead, etag, 304, 0},
	}
	for name, c := range cases {
		if w := get(c.method, c.ifNoneMatch); w.Code != c.status || w.Body.Len() != c.length {
			t.Errorf("%s: %d, %d bytes", name, w.Code, w.Body.Len())
		}
	}
	if w := get(http.MethodPost, ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("POST: %d %v", w.Code, w.Header())
	}
	other := httptest.NewRecorder()
	NewDocument([]byte("{}"), "application/jwk-set+json", 0).ServeHTTP(other, httptest.NewRequest(http.MethodGet, "/", nil))
	if other.Header().Get("ETag") == etag || other.Header().Get("Content-Type") != "application/jwk-set+json" {
		t.Errorf("the other document: %v", other.Header())
	}
}
