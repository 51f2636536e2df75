package caddymodule_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const forwardAuthCaddyfile = `%[1]s {
	m2m_auth {
		issuer %[4]s
		audience https://api.example.com
		require GET /books/{id} book:{id}:read
		require PUT /books/{id} book:{id}:edit
		require GET api.example.com/hosts book:1:read
		public GET /healthz
		forward_auth same_request
		trust_header X-Forwarded-Prefix
	}
	respond "not reached" 500
}
%[2]s {
	m2m_auth {
		issuer %[4]s
		audience https://api.example.com
		require GET /books/{id} book:{id}:read
		require PUT /books/{id} book:{id}:edit
		require GET api.example.com/hosts book:1:read
		forward_auth x_forwarded
	}
}
%[3]s {
	m2m_auth {
		issuer %[4]s
		audience https://api.example.com
		require GET /books/{id} book:{id}:read
		forward_auth x_original
		header X-Caller sub
	}
}
`

type forwardAnswer struct {
	*http.Response
	body string
}

// TestForwardAuth asks doors as proxies do, and checks which request they judge.
func TestForwardAuth(t *testing.T) {
	issuer := servertest.StartIssuer(t)
	same, forwarded, original := servertest.FreeURL(t), servertest.FreeURL(t), servertest.FreeURL(t)
	servertest.Start(t, fmt.Sprintf(forwardAuthCaddyfile, same, forwarded, original, issuer.URL))
	token := "Bearer " + issuer.Sign(issuer.Claims("https://api.example.com", "book:1:read", nil), nil)
	ask := func(method, target string, header map[string]string) *forwardAnswer {
		r, err := http.NewRequest(method, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", token)
		for name, value := range header {
			r.Header[name] = []string{value}
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return &forwardAnswer{response, servertest.Body(t, response)}
	}
	by := func(method, host, target string, more map[string]string) map[string]string {
		header := map[string]string{"X-Forwarded-Method": method, "X-Forwarded-Host": host, "X-Forwarded-Uri": target}
		maps.Copy(header, more)
		return header
	}
	for name, c := range map[string]struct {
		w      *forwardAnswer
		status int
		reason string
	}{
		"the same request":                {ask("GET", same+"/books/1", nil), 200, ""},
		"another book":                    {ask("GET", same+"/books/2", nil), 403, "insufficient_scope"},
		"the method":                      {ask("PUT", same+"/books/1", nil), 403, "insufficient_scope"},
		"no rule":                         {ask("GET", same+"/", nil), 403, "no_rule"},
		"no token":                        {ask("GET", same+"/books/1", map[string]string{"Authorization": ""}), 401, ""},
		"a path in two ways":              {ask("GET", same+"/books/%2e%2e/admin", nil), 400, "ambiguous_path"},
		"a header that names a URL":       {ask("GET", same+"/books/1", map[string]string{"X-Original-Url": "/books/2"}), 400, "bad_forward_auth"},
		"a forged identity":               {ask("GET", same+"/books/1", map[string]string{"X-Client-Id": "admin"}), 400, "bad_forward_auth"},
		"a forged identity, misspelt":     {ask("GET", same+"/books/1", map[string]string{"X-Client!Id": "admin"}), 400, "bad_forward_auth"},
		"the headers of another way":      {ask("GET", same+"/books/1", by("GET", "api.example.com", "/books/1", nil)), 400, "bad_forward_auth"},
		"a method in a header":            {ask("GET", same+"/books/1", map[string]string{"X-Http-Method-Override": "PUT"}), 400, "bad_forward_auth"},
		"a trusted header":                {ask("GET", same+"/books/1", map[string]string{"X-Forwarded-Prefix": "/api"}), 200, ""},
		"the metadata":                    {ask("GET", same+"/.well-known/oauth-protected-resource", nil), 403, "no_rule"},
		"forwarded":                       {ask("GET", forwarded+"/auth", by("GET", "api.example.com", "/books/1", nil)), 200, ""},
		"forwarded, another book":         {ask("GET", forwarded+"/books/1", by("GET", "api.example.com", "/books/2", nil)), 403, "insufficient_scope"},
		"forwarded, the method":           {ask("GET", forwarded+"/auth", by("PUT", "api.example.com", "/books/1", nil)), 403, "insufficient_scope"},
		"forwarded, an encoded path":      {ask("GET", forwarded+"/auth", by("GET", "api.example.com", "/books/%31", nil)), 200, ""},
		"forwarded, in two ways":          {ask("GET", forwarded+"/auth", by("GET", "api.example.com", "/books/1%2F..%2Fadmin", nil)), 400, "ambiguous_path"},
		"forwarded, dots":                 {ask("GET", forwarded+"/auth", by("GET", "api.example.com", "/x/../books/1", nil)), 400, "ambiguous_path"},
		"forwarded, the host":             {ask("GET", forwarded+"/auth", by("GET", "api.example.com", "/hosts", nil)), 200, ""},
		"forwarded, another host":         {ask("GET", forwarded+"/auth", by("GET", "www.example.com", "/hosts", nil)), 403, "no_rule"},
		"forwarded, a bad host":           {ask("GET", forwarded+"/auth", by("GET", "api%2eexample", "/books/1", nil)), 400, "ambiguous_host"},
		"forwarded, a tunnel":             {ask("GET", forwarded+"/auth", by("CONNECT", "api.example.com", "/books/1", nil)), 400, "ambiguous_method"},
		"forwarded, a lower-case method":  {ask("GET", forwarded+"/auth", by("get", "api.example.com", "/books/1", nil)), 400, "ambiguous_method"},
		"forwarded, a parameter":          {ask("GET", forwarded+"/auth", by("GET", "api.example.com", "/books/1?_method=PUT", nil)), 400, "ambiguous_method"},
		"forwarded, nothing":              {ask("GET", forwarded+"/books/1", nil), 400, "bad_forward_auth"},
		"forwarded, two spellings":        {ask("GET", forwarded+"/auth", by("GET", "h", "/books/1", map[string]string{"X-Forwarded!Uri": "/books/2"})), 400, "bad_forward_auth"},
		"forwarded, and an original":      {ask("GET", forwarded+"/auth", by("GET", "h", "/books/1", map[string]string{"X-Original-Uri": "/books/2"})), 400, "bad_forward_auth"},
		"original":                        {ask("GET", original+"/auth", map[string]string{"X-Original-Method": "GET", "X-Original-Url": "https://api.example.com/books/1"}), 200, ""},
		"original, another book":          {ask("GET", original+"/auth", map[string]string{"X-Original-Method": "GET", "X-Original-Url": "https://api.example.com/books/2"}), 403, "insufficient_scope"},
		"original, and a default header":  {ask("GET", original+"/auth", map[string]string{"X-Original-Method": "GET", "X-Original-Url": "https://h/books/1", "X-Client-Id": "a"}), 400, "bad_forward_auth"},
		"original, with a hop-by-hop one": {ask("GET", original+"/auth", map[string]string{"X-Original-Method": "GET", "X-Original-Url": "https://h/books/1", "Connection": "close"}), 200, ""},
		"a public route":                  {ask("GET", same+"/healthz", map[string]string{"Authorization": ""}), 200, ""},
		"an upgrade to h2c":               {ask("GET", same+"/healthz", map[string]string{"Connection": "Upgrade", "Upgrade": "h2c"}), 400, "bad_forward_auth"},
		"forwarded, an upgrade to h2c":    {ask("GET", forwarded+"/auth", by("GET", "h", "/books/1", map[string]string{"Connection": "Upgrade", "Upgrade": "h2c"})), 400, "bad_forward_auth"},
		"a WebSocket":                     {ask("GET", same+"/books/1", map[string]string{"Connection": "Upgrade", "Upgrade": "WebSocket"}), 200, ""},
		"a public route, forged":          {ask("GET", same+"/healthz", map[string]string{"X-Client-Id": "admin"}), 400, "bad_forward_auth"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.w.StatusCode != c.status || !strings.Contains(c.w.body, c.reason) {
				t.Fatalf("%d %s, want %d %s", c.w.StatusCode, c.w.body, c.status, c.reason)
			}
			if caller := c.w.Header.Get("X-Client-Id") + c.w.Header.Get("X-Caller"); (caller == "demo") != (c.status == http.StatusOK && !strings.Contains(name, "public")) {
				t.Errorf("the caller is %q", caller)
			}
			if c.w.Header.Get("Cache-Control") != "no-store" || strings.Contains(c.w.Header.Get("WWW-Authenticate"), "resource_metadata") {
				t.Errorf("header %v", c.w.Header)
			}
		})
	}
}
