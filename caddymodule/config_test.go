package caddymodule_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const (
	configGoodIssuer = `{"issuer": "http://localhost:8080", "registry": {"source": "file", "path": "testdata/adapt/registry.yaml"}}`
	configDoor       = `{"handler": "m2m_auth"%s}`
)

// validateJSON provisions a config of issuers and one handler.
func validateJSON(t *testing.T, issuers, handler string) error {
	t.Helper()
	config := new(caddy.Config)
	err := caddy.StrictUnmarshalJSON(fmt.Appendf(nil, `{
		"admin": {"disabled": true},
		"storage": {"module": "file_system", "root": %q},
		"logging": {"logs": {"default": {"writer": {"output": "discard"}}}},
		"apps": {"m2m": {"issuers": [%s]}, "http": {"servers": {"srv": {"listen": ["127.0.0.1:0"], "routes": [{"handle": [%s]}]}}}}
	}`, t.TempDir(), issuers, handler), config)
	if err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(config)
}

func TestJSONConfigsThatAreErrors(t *testing.T) {
	servertest.New(t) // one config at a time
	door := func(settings string) string { return fmt.Sprintf(configDoor, settings) }
	issuer := func(settings string) string { return strings.TrimSuffix(configGoodIssuer, "}") + settings + "}" }
	cases := map[string]struct{ issuers, handler, want string }{
		"null issuer":              {"null", door(""), "issuer 0 is null"},
		"second issuer null":       {configGoodIssuer + ", null", door(""), "issuer 1 is null"},
		"registry file, no path":   {`{"issuer": "http://localhost:8080", "registry": {"source": "file"}}`, door(""), "a registry file needs a path"},
		"storage with a path":      {`{"issuer": "http://localhost:8080", "registry": {"path": "x"}}`, door(""), "a registry in storage has no path"},
		"file with a cache":        {`{"issuer": "http://localhost:8080", "registry": {"source": "file", "path": "x", "cache_size": 5}}`, door(""), "a registry file has no cache_size"},
		"negative cache":           {`{"issuer": "http://localhost:8080", "registry": {"cache_size": -5}}`, door(""), "cache_size is -5"},
		"unknown registry":         {`{"issuer": "http://localhost:8080", "registry": {"source": "etcd", "path": "x"}}`, door(""), `registry source "etcd" is unknown`},
		"missing registry file":    {`{"issuer": "http://localhost:8080", "registry": {"source": "file", "path": "testdata/none.yaml"}}`, door(""), "testdata/none.yaml"},
		"registry path of nothing": {`{"issuer": "http://localhost:8080", "registry": {"source": "file", "path": "{env.M2M_NONE}"}}`, door(""), "{env.M2M_NONE}"},
		"issuer without a URL":     {`{"registry": {"source": "file", "path": "testdata/adapt/registry.yaml"}}`, door(""), `issuer "": must be a URL`},
		"issuer twice":             {configGoodIssuer + "," + configGoodIssuer, door(`, "issuer": "http://localhost:8080"`), "configured twice"},
		"password in the URL":      {strings.Replace(configGoodIssuer, "localhost", "me:hunter2@localhost", 1), door(""), "user information"},
		"unknown issuer field":     {issuer(`, "ttl": 1`), door(""), `unknown field \"ttl\"`},
		"unknown policy field":     {issuer(`, "policy": {"path": "x"}`), door(""), `unknown field \"path\"`},
		"ttl too long":             {issuer(`, "token_ttl": "25h"`), door(""), "token_ttl is 25h0m0s"},
		"ttl negative":             {issuer(`, "token_ttl": -1`), door(""), "token_ttl is -1ns"},
		"unknown algorithm":        {issuer(`, "signing_alg": "none"`), door(""), `"none"`},
		"policy timeout negative":  {issuer(`, "policy": {"timeout": -1}`), door(""), "timeout"},
		"policy timeout too long":  {issuer(`, "policy": {"timeout": "1h"}`), door(""), "timeout"},
		"missing policy":           {issuer(`, "policy": {"paths": ["testdata/none"]}`), door(""), "testdata/none"},

		"bundle and paths":       {issuer(`, "policy": {"paths": ["testdata/adapt/policy"], "bundle": {"location": "x"}}`), door(""), "not of both"},
		"bundle of nothing":      {issuer(`, "policy": {"bundle": {}}`), door(""), "a bundle needs a path or a URL"},
		"missing bundle":         {issuer(`, "policy": {"bundle": {"location": "testdata/none.tar.gz"}}`), door(""), "testdata/none.tar.gz"},
		"bundle by http":         {issuer(`, "policy": {"bundle": {"location": "http://me:hunter2@example.com/b"}}`), door(""), "user information"},
		"bundle key in the open": {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "keys": [{"id": "ci", "key": "hunter2"}]}}`), door(""), "a key is given by a placeholder"},
		"bundle key of nothing":  {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "keys": [{"id": "ci"}]}}`), door(""), "either a key or a file"},
		"bundle key null":        {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "keys": [null]}}`), door(""), "key 0 is null"},
		"bundle key by path":     {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "keys": [{"id": "ci", "file": "testdata/adapt/bundle.pem", "alg": "HS256"}]}}`), door(""), "and not by a path"},
		"bundle key not there":   {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "keys": [{"id": "ci", "file": "testdata/none.pem"}]}}`), door(""), "testdata/none.pem"},
		"bundle key of no key":   {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "keys": [{"id": "ci", "file": "testdata/adapt/registry.yaml"}]}}`), door(""), `bundle key "ci": it is not in PEM`},
		"bundle key unset":       {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "keys": [{"id": "ci", "key": "{env.M2M_NONE}"}]}}`), door(""), "{env.M2M_NONE}"},
		"bundle scope, no key":   {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "scope": "x"}}`), door(""), "it needs a key"},
		"bundle header open":     {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "headers": {"X-Api-Key": "hunter2"}}}`), door(""), "header X-Api-Key carries credentials"},
		"bundle header twice":    {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "headers": {"X-A": "1", "x-a": "2"}}}`), door(""), "given twice"},
		"bundle poll, one":       {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "poll_min": "5s"}}`), door(""), "go together"},
		"bundle long poll":       {issuer(`, "policy": {"bundle": {"location": "https://example.com/b", "long_poll": "1h"}}`), door(""), "long_poll is 1h0m0s"},

		"no issuer at all":       {"", door(""), "the m2m app has no issuer"},
		"which of two":           {configGoodIssuer + "," + strings.Replace(configGoodIssuer, "8080", "8081", 1), door(""), "has 2 issuers; say which"},
		"handler of a stranger":  {configGoodIssuer, `{"handler": "m2m_issuer", "issuer": "http://localhost:9999"}`, `no such issuer: "http://localhost:9999"`},
		"handler without issuer": {"", `{"handler": "m2m_issuer"}`, "the m2m app has no issuer"},
		"unknown handler field":  {configGoodIssuer, `{"handler": "m2m_issuer", "audience": "x"}`, `unknown field \"audience\"`},
		"unknown door field":     {configGoodIssuer, door(`, "requires": []`), `unknown field \"requires\"`},
		"remote, no audience":    {configGoodIssuer, door(`, "issuer": "https://auth.example.com"`), "add `audience <url>`"},
		"remote, password":       {configGoodIssuer, door(`, "issuer": "https://me:hunter2@auth.example.com", "audience": ["x"]`), "user information"},
		"issuer and issuers":     {configGoodIssuer, door(`, "issuer": "https://a.example.com", "issuers": [{"issuer": "https://b.example.com"}], "audience": ["x"]`), "issuer and issuers are both given"},
		"a null of issuers":      {configGoodIssuer, door(`, "issuers": [null]`), "issuers: 0 is null"},
		"no URL in issuers":      {configGoodIssuer, door(`, "issuers": [{"issuer": "https://a.example.com", "audience": ["x"]}, {}]`), "issuers: 1 has no issuer"},
		"the same issuer twice":  {configGoodIssuer, door(`, "issuers": [{"issuer": "https://a.example.com"}, {"issuer": "https://a.example.com"}], "audience": ["x"]`), "is given twice"},
		"issuers, no audience":   {configGoodIssuer, door(`, "issuers": [{"issuer": "http://localhost:8080"}, {"issuer": "https://a.example.com"}]`), "add `audience <url>`"},
		"quirks of a local one":  {configGoodIssuer, door(`, "issuers": [{"issuer": "http://localhost:8080", "typ": ["JWT"]}]`), "only audience can be set"},
		"empty typ":              {configGoodIssuer, door(`, "issuers": [{"issuer": "https://a.example.com", "audience": ["x"], "typ": [""]}]`), `typ "" is empty`},
		"exp may be missing":     {configGoodIssuer, door(`, "issuers": [{"issuer": "https://a.example.com", "audience": ["x"], "allow_missing": ["exp"]}]`), `"exp" cannot be missing`},
		"claim with a newline":   {configGoodIssuer, door(`, "issuers": [{"issuer": "https://a.example.com", "audience": ["x"], "scope_claim": "a\nb"}]`), "scope_claim: "},
		"max_stale too long":     {configGoodIssuer, door(`, "issuers": [{"issuer": "https://a.example.com", "audience": ["x"], "max_stale": "721h"}]`), "max_stale is 721h0m0s"},
		"max_stale negative":     {configGoodIssuer, door(`, "issuers": [{"issuer": "https://a.example.com", "audience": ["x"], "max_stale": -1}]`), "max_stale is -1ns"},
		"issuers, empty door":    {configGoodIssuer, door(`, "issuers": [{"issuer": "https://a.example.com", "audience": ["x"]}], "audience": [""]`), "audience: "},
		"policy of which issuer": {configGoodIssuer, door(`, "issuers": [{"issuer": "http://localhost:8080"}, {"issuer": "https://a.example.com", "audience": ["x"]}], "policy": {}`), "the door has several issuers"},
		"ready with a setting":   {configGoodIssuer, `{"handler": "m2m_ready", "issuer": "x"}`, `unknown field \"issuer\"`},
		"empty audience":         {configGoodIssuer, door(`, "audience": [""]`), "audience: "},
		"null requirement":       {configGoodIssuer, door(`, "require": [null]`), "a requirement is null"},
		"empty requirement":      {configGoodIssuer, door(`, "require": [{}]`), "a route has no path"},
		"no scopes":              {configGoodIssuer, door(`, "require": [{"path": "/"}]`), "no scope is named"},
		"empty scope":            {configGoodIssuer, door(`, "require": [{"path": "/", "scopes": [""]}]`), "empty scope"},
		"pattern with a space":   {configGoodIssuer, door(`, "require": [{"method": "GET", "path": "POST /", "scopes": ["a"]}]`), "the path has white space"},
		"unknown rule field":     {configGoodIssuer, door(`, "require": [{"path": "/", "scope": "a"}]`), `unknown field \"scope\"`},
		"leeway too long":        {configGoodIssuer, door(`, "leeway": "6m"`), "leeway is 6m0s"},
		"leeway negative":        {configGoodIssuer, door(`, "leeway": -1`), "leeway is -1ns"},
		"header without a claim": {configGoodIssuer, door(`, "headers": {"X-Team": ""}`), "has no claim"},
		"headers though off":     {configGoodIssuer, door(`, "headers": {"X-Team": "team"}, "no_headers": true`), "and so is that there are none"},
		"header with a newline":  {configGoodIssuer, door(`, "headers": {"X-Team\r\nX": "team"}`), "is not a header name"},
		"trusted for nothing":    {configGoodIssuer, door(`, "trust_headers": ["Accept"]`), `header "Accept" is not in the list of headers that override the request`},
		"trusted with a newline": {configGoodIssuer, door(`, "trust_headers": ["Forwarded\r\nX"]`), "is not a header name"},
		"trusted and set":        {configGoodIssuer, door(`, "headers": {"X-Original-Host": "host"}, "trust_headers": ["x-original-host"]`), "is set by this door"},
		"input that is replaced": {configGoodIssuer, door(`, "policy": {"paths": ["testdata/adapt/requests"], "input_headers": ["x-forwarded-host"]}`), `reverse_proxy sets or removes the header "X-Forwarded-Host"`},
		"input that is removed":  {configGoodIssuer, door(`, "policy": {"paths": ["testdata/adapt/requests"], "input_headers": ["x-forwarded-prefix"]}`), `the policy never sees the header "X-Forwarded-Prefix"`},
		"input from the token":   {configGoodIssuer, door(`, "policy": {"paths": ["testdata/adapt/requests"], "input_headers": ["x-client.id"]}`), `the policy never sees the header "X-Client.id"`},
		"input of a claim":       {configGoodIssuer, door(`, "headers": {"x-tenant": "tenant"}, "policy": {"paths": ["testdata/adapt/requests"], "input_headers": ["x-tenant"]}`), `the policy never sees the header "X-Tenant"`},
		"input and output":       {configGoodIssuer, door(`, "policy": {"paths": ["testdata/adapt/requests"], "input_headers": ["x_tenant"], "upstream_headers": ["x-tenant"]}`), "both what the policy sees and what it sets"},
		"input of the proxy":     {configGoodIssuer, door(`, "policy": {"paths": ["testdata/adapt/requests"], "input_headers": ["via"]}`), `reverse_proxy sets or removes the header "Via"`},
		"output of the proxy":    {configGoodIssuer, door(`, "policy": {"paths": ["testdata/adapt/requests"], "upstream_headers": ["x_forwarded_host"]}`), "cannot be set by a policy: reverse_proxy"},
		"output of a claim":      {configGoodIssuer, door(`, "headers": {"x-tenant": "tenant"}, "policy": {"paths": ["testdata/adapt/requests"], "upstream_headers": ["x_tenant"]}`), "carries a claim already"},
		"claim to the proxy":     {configGoodIssuer, door(`, "headers": {"x-forwarded-host": "client_id"}`), "cannot carry a claim: reverse_proxy"},
		"claim to via":           {configGoodIssuer, door(`, "headers": {"via": "client_id"}`), "cannot carry a claim: reverse_proxy"},
		"claims that fold":       {configGoodIssuer, door(`, "headers": {"x-user": "client_id", "x_user": "sub"}`), "beside one that upstreams may take it for"},
		"header of the message":  {configGoodIssuer, door(`, "headers": {"transfer-encoding": "team"}`), "cannot carry a claim"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := validateJSON(t, c.issuers, c.handler)
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `"`, `\"`), strings.ReplaceAll(strings.ReplaceAll(c.want, `\"`, `"`), `"`, `\"`)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("shows the password: %v", err)
			}
		})
	}
}

// TestJSONConfigsOfNull: null is like an absent member.
func TestJSONConfigsOfNull(t *testing.T) {
	servertest.New(t)
	for _, settings := range []string{"", `, "audience": null, "require": null, "headers": null, "leeway": null, "issuers": null`, `, "issuers": [], "audience": [], "require": [], "headers": {}`} {
		if err := validateJSON(t, configGoodIssuer, fmt.Sprintf(configDoor, settings)); err != nil {
			t.Errorf("%q: %v", settings, err)
		}
	}
}

// TestAThousandRequirementsAreQuickToRead: a requirement is checked when it is read, and only once.
func TestAThousandRequirementsAreQuickToRead(t *testing.T) {
	var lines strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&lines, "require GET /things%d/{id} thing:{id}:read\n", n)
	}
	registry, err := os.ReadFile("testdata/adapt/registry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := servertest.WriteFile(t, t.TempDir(), "registry.yaml", string(registry))
	caddyfile := "{\nm2m {\nissuer http://localhost:8080 {\nregistry file " + path + "\n}\n}\n}\nhttp://localhost:8080 {\nm2m_auth {\n" + lines.String() + "}\n}\n"
	s := servertest.New(t)
	if err := s.Validate(caddyfile); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(s.Log(), "the config has"); n != 21 { // the registry has no such resource
		t.Errorf("%d warnings", n)
	}
}
