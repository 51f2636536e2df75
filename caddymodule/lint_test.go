package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const lintMessage = "a part of the config can never work"

// lintRegistry has a resource of the issuer's audience, and one of another audience.
const lintRegistry = `resources:
  book: {actions: {read: Read, edit: Edit}}
  film: {audience: "https://films.example.com", actions: {read: Read}}
`

// lintConfig is the beginning of the Caddyfiles of the tests, whose sites begin at line 8.
const lintConfig = "{\n\tm2m {\n\t\tissuer https://auth.example.com {\n\t\t\tregistry file REGISTRY\n\t\t}\n\t}\n}\n"

// lintIssuer serves the issuer of lintConfig.
const lintIssuer = "auth.example.com {\n\tm2m_issuer\n}\n"

// warningsOf validates a Caddyfile and returns what it is warned of, as `position problem`.
func warningsOf(t *testing.T, s *servertest.Server, caddyfile string) []string {
	t.Helper()
	before := len(s.LogLines("m2m"))
	if err := s.Validate(caddyfile); err != nil {
		t.Fatalf("%v in\n%s", err, caddyfile)
	}
	var warnings []string
	for _, line := range s.LogLines("m2m")[before:] {
		if line["msg"] == lintMessage {
			warnings = append(warnings, fmt.Sprintf("%s %s", line["position"], line["problem"]))
		}
	}
	return warnings
}

// TestConfigThatCanNeverWork: each of these configs is valid, and a part of it has no effect, or the wrong one.
func TestConfigThatCanNeverWork(t *testing.T) {
	s := servertest.New(t)
	registry := servertest.WriteFile(t, t.TempDir(), "registry.yaml", lintRegistry)
	door := "m2m_auth {\n\t\trequire GET /books book:*:read\n\t}\n"
	site := func(content string) string { return lintIssuer + "api.example.com {\n\t" + content + "}\n" }
	for name, c := range map[string]struct{ caddyfile, want string }{
		"no site serves the issuer":        {"api.example.com {\n\t" + door + "\treverse_proxy up:1\n}\n", "Caddyfile:3 no site serves the issuer https://auth.example.com; add m2m_issuer to the site auth.example.com"},
		"the issuer on another host":       {"api.example.com {\n\tm2m_issuer\n}\n", "Caddyfile:9 m2m_issuer serves the issuer https://auth.example.com on another host than auth.example.com"},
		"the issuer in handle_path":        {"auth.example.com {\n\thandle_path /oauth2/* {\n\t\tm2m_issuer\n\t}\n}\n", "Caddyfile:10 m2m_issuer never gets the requests for /oauth2/token"},
		"the issuer below a prefix":        {"auth.example.com {\n\tm2m_issuer /auth/*\n}\n", "Caddyfile:9 m2m_issuer never gets the requests for /oauth2/token"},
		"the issuer without its keys":      {"auth.example.com {\n\tm2m_issuer /oauth2/token\n}\n", "Caddyfile:9 m2m_issuer never gets the requests for /oauth2/jwks"},
		"the issuer behind respond":        {"auth.example.com {\n\troute {\n\t\trespond hello\n\t\tm2m_issuer\n\t}\n}\n", "Caddyfile:11 m2m_issuer is never reached: respond before it"},
		"the issuer behind a door":         {"auth.example.com {\n\troute {\n\t\tm2m_auth\n\t\tm2m_issuer\n\t\trespond hello\n\t}\n}\n", "Caddyfile:11 m2m_issuer stands behind m2m_auth"},
		"a door's issuer is misspelt":      {site("m2m_auth {\n\t\tissuer https://auth.example.com/prod\n\t\taudience x\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:12 no site serves the issuer https://auth.example.com/prod of this m2m_auth; the site auth.example.com serves the issuer https://auth.example.com"},
		"door behind reverse_proxy":        {site("route {\n\t\treverse_proxy up:1\n\t\t" + door + "\t}\n"), "Caddyfile:14 m2m_auth is never reached: reverse_proxy before it"},
		"door behind file_server":          {site("route {\n\t\tfile_server\n\t\t" + door + "\t}\n"), "Caddyfile:14 m2m_auth is never reached: file_server before it"},
		"door behind the same path":        {site("route {\n\t\treverse_proxy /books* up:1\n\t\tm2m_auth /books/* {\n\t\t\trequire GET /books/{id} book:{id}:read\n\t\t}\n\t\trespond hello\n\t}\n"), "Caddyfile:14 m2m_auth is never reached: reverse_proxy before it"},
		"door in a route after handle":     {site("handle {\n\t\treverse_proxy up:1\n\t}\n\troute {\n\t\t" + door + "\t}\n"), "Caddyfile:16 m2m_auth is never reached: reverse_proxy before it"},
		"door behind m2m_ready":            {site("m2m_ready\n\t" + door + "\treverse_proxy up:1\n"), "Caddyfile:13 m2m_auth is never reached: m2m_ready before it"},
		"two doors":                        {site("route {\n\t\tm2m_auth\n\t\t" + door + "\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:14 m2m_auth refuses every request with 401: the m2m_auth before it at Caddyfile:13 removes the token"},
		"two doors, one in a handle":       {site("m2m_auth\n\thandle /admin/* {\n\t\tm2m_auth\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:14 m2m_auth refuses every request with 401"},
		"door with nothing behind":         {site(door), "Caddyfile:12 nothing answers the requests that pass this m2m_auth"},
		"door with a header behind":        {site("handle /books {\n\t\t" + door + "\t\theader X y\n\t}\n"), "Caddyfile:13 nothing answers the requests that pass this m2m_auth"},
		"respond is shadowed":              {site("respond /healthz 200\n\t" + door + "\treverse_proxy up:1\n"), "Caddyfile:13 respond for /healthz is never reached: this m2m_auth runs before it"},
		"handle is shadowed":               {site("handle /public/* {\n\t\tfile_server\n\t}\n\t" + door + "\treverse_proxy up:1\n"), "Caddyfile:15 handle for /public/* is never reached"},
		"a matcher misses a line":          {site("m2m_auth /api/* {\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `require GET /books` never matches"},
		"a matcher misses the folder":      {site("m2m_auth /books/* {\n\t\trequire GET /books book:*:read\n\t\trequire GET /books/{id} book:{id}:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `require GET /books` never matches"},
		"handle_path strips the path":      {site("handle_path /api/* {\n\t\tm2m_auth {\n\t\t\trequire GET /api/books book:*:read\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"), ""},
		"a line for another host":          {site("m2m_auth {\n\t\trequire GET films.example.com/books book:*:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `require GET films.example.com/books` never matches: the site of this m2m_auth does not serve the host films.example.com"},
		"a matcher misses public":          {site("m2m_auth /api/* {\n\t\tpublic GET /healthz\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `public GET /healthz` never matches"},
		"handle_path misses the metadata":  {site("handle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:13 the challenges of this m2m_auth name its metadata at https://api.example.com/.well-known/oauth-protected-resource, which it never gets: a matcher, handle or handle_path around it gives it other paths; add m2m_resource_metadata"},
		"a matcher misses the metadata":    {site("m2m_auth /v1/* {\n\t\taudience https://api.example.com/v1 https://auth.example.com\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:12 the challenges of this m2m_auth name its metadata at https://api.example.com/.well-known/oauth-protected-resource/v1, which it never gets"},
		"a handle misses the metadata":     {site("handle /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com/v1 https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n\thandle {\n\t\tfile_server\n\t}\n"), "Caddyfile:13 the challenges of this m2m_auth name its metadata"},
		"the metadata is on another site":  {site("m2m_auth {\n\t\taudience https://www.example.com https://auth.example.com\n\t}\n\treverse_proxy up:1\n") + "www.example.com {\n\trespond hello\n}\n", "Caddyfile:12 the challenges of this m2m_auth name its metadata at https://www.example.com/.well-known/oauth-protected-resource, and the site of that host does not serve it"},
		"metadata of no door":              {site("m2m_resource_metadata https://other.example.com\n\t" + door + "\treverse_proxy up:1\n"), "Caddyfile:12 m2m_resource_metadata serves nothing: no m2m_auth with metadata has https://other.example.com as its first audience"},
		"metadata of a door without it":    {site("m2m_resource_metadata\n\tm2m_auth {\n\t\tmetadata off\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:12 m2m_resource_metadata serves nothing"},
		"metadata on another site":         {"api.example.com {\n\thandle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n}\nauth.example.com {\n\tm2m_issuer\n\tm2m_resource_metadata\n}\n", "Caddyfile:10 the challenges of this m2m_auth name its metadata"},
		"no such resource":                 {site("m2m_auth {\n\t\trequire GET /books boks:*:read\n\t}\n\treverse_proxy up:1\n"), `Caddyfile:13 ` + "`require GET /books`" + ` needs boks:*:read, which no token can have: the registry has no resource "boks"; did you mean "book"?`},
		"no such action":                   {site("m2m_auth {\n\t\trequire GET /books book:*:raed\n\t}\n\treverse_proxy up:1\n"), `the resource "book" has no action "raed"; did you mean "read"?`},
		"the action first":                 {site("m2m_auth {\n\t\trequire GET /books read:books\n\t}\n\treverse_proxy up:1\n"), `the registry has no resource "read"; a scope is resource:identifier:action, so did you mean "book:read"?`},
		"a resource for others":            {site("m2m_auth {\n\t\trequire GET /films film:*:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `require GET /films` needs film:*:read, whose tokens are for an audience that this m2m_auth does not accept"},
		"an audience of no token":          {site("m2m_auth {\n\t\taudience https://api.example.com\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:12 m2m_auth refuses every token: it wants the audience https://api.example.com, and the resources of the registry are for https://auth.example.com, https://films.example.com"},
		"door behind another that answers": {site("route {\n\t\tm2m_auth {\n\t\t\tforward_auth x_forwarded\n\t\t}\n\t\tm2m_auth\n\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:16 m2m_auth is never reached: m2m_auth before it"},
	} {
		t.Run(name, func(t *testing.T) {
			caddyfile := strings.Replace(lintConfig, "REGISTRY", registry, 1) + c.caddyfile
			warnings := warningsOf(t, s, caddyfile)
			if c.want == "" {
				return
			}
			if len(warnings) != 1 || !strings.Contains(warnings[0], c.want) {
				t.Errorf("warned of %q, want %q", warnings, c.want)
			}
		})
	}
}

// TestConfigThatWorks: no warning is about a config that works.
func TestConfigThatWorks(t *testing.T) {
	s := servertest.New(t)
	registry := servertest.WriteFile(t, t.TempDir(), "registry.yaml", lintRegistry)
	door := "m2m_auth {\n\t\trequire GET /books book:*:read\n\t\trequire GET /books/{id} book:{id}:read\n\t\trequire /docs/ book\n\t}\n"
	site := func(content string) string { return lintIssuer + "api.example.com {\n\t" + content + "}\n" }
	for name, caddyfile := range map[string]string{
		"metadata in handle_path":       site("m2m_resource_metadata\n\thandle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata by its name":          site("handle /.well-known/* {\n\t\tm2m_resource_metadata https://api.example.com/v1\n\t}\n\thandle /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com/v1 https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata of the upstream":      site("handle /.well-known/* {\n\t\treverse_proxy up:1\n\t}\n\thandle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata off":                  site("handle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t\tmetadata off\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata of one door of two":   site("m2m_auth /v1/* {\n\t\taudience https://api.example.com https://auth.example.com\n\t}\n\tm2m_auth /.well-known/oauth-protected-resource {\n\t\taudience https://api.example.com https://auth.example.com\n\t}\n\treverse_proxy up:1\n"),
		"a matcher with the metadata":   site("@api path /v1/* /.well-known/oauth-protected-resource\n\tm2m_auth @api {\n\t\taudience https://api.example.com https://auth.example.com\n\t}\n\treverse_proxy up:1\n"),
		"a host of another server":      site("handle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://public.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"one site":                      "auth.example.com {\n\tm2m_issuer\n\t" + door + "\treverse_proxy up:1\n}\n",
		"a port":                        ":8080 {\n\tm2m_issuer\n\t" + door + "\treverse_proxy up:1\n}\n",
		"several hosts":                 "api.example.com, http://auth.example.com {\n\tm2m_issuer\n\t" + door + "\treverse_proxy up:1\n}\n",
		"a wildcard":                    "*.example.com {\n\ttls internal\n\t@auth host auth.example.com\n\thandle @auth {\n\t\tm2m_issuer\n\t}\n\thandle {\n\t\t" + door + "\t\treverse_proxy up:1\n\t}\n}\n",
		"a matcher of the issuer":       "auth.example.com {\n\t@m2m path /oauth2/* /.well-known/*\n\thandle @m2m {\n\t\tm2m_issuer\n\t}\n\thandle {\n\t\trespond 404\n\t}\n}\n",
		"the end of the issuer's site":  "auth.example.com {\n\tm2m_issuer\n\trespond 404\n}\napi.example.com {\n\t" + door + "\treverse_proxy up:1\n}\n",
		"an issuer of another provider": site("m2m_auth {\n\t\tissuer https://login.example.org\n\t\taudience x\n\t\trequire GET /books anything:read\n\t}\n\treverse_proxy up:1\n"),
		"a remote issuer beside":        "auth.example.com {\n\tm2m_issuer\n\treverse_proxy /realms/* keycloak:8080\n}\napi.example.com {\n\tm2m_auth {\n\t\tissuer https://auth.example.com/realms/x\n\t\taudience x\n\t}\n\treverse_proxy up:1\n}\n",
		"health before the door":        site("route {\n\t\trespond /healthz 200\n\t\t" + door + "\t\treverse_proxy up:1\n\t}\n"),
		"health with a line":            site("respond /books hello\n\t" + door + "\treverse_proxy up:1\n"),
		"health with a public line":     site("respond /healthz 200\n\tm2m_auth {\n\t\tpublic GET /healthz\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"),
		"a door that answers a proxy":   site("handle /check {\n\t\tm2m_auth {\n\t\t\tforward_auth x_forwarded\n\t\t\trequire GET /books book:*:read\n\t\t}\n\t}\n\treverse_proxy up:1\n"),
		"health behind a plain door":    site("respond /healthz 200\n\tm2m_auth\n\treverse_proxy up:1\n"),
		"ready":                         site("m2m_ready /ready\n\t" + door + "\treverse_proxy up:1\n"),
		"handles behind a door":         site(door + "\thandle /books/* {\n\t\treverse_proxy up:1\n\t}\n\thandle /docs* {\n\t\tfile_server\n\t}\n\thandle {\n\t\trespond 404\n\t}\n"),
		"doors in handles":              site("handle /books* {\n\t\tm2m_auth {\n\t\t\trequire GET /books/{id} book\n\t\t}\n\t\treverse_proxy up:1\n\t}\n\thandle /public/* {\n\t\tfile_server\n\t}\n"),
		"one snippet in two handles":    "(door) {\n\t" + door + "}\n" + site("handle /books* {\n\t\timport door\n\t\treverse_proxy up:1\n\t}\n\thandle /docs/* {\n\t\timport door\n\t\tfile_server\n\t}\n"),
		"two doors apart":               site("m2m_auth /a/*\n\tm2m_auth /b/*\n\treverse_proxy up:1\n"),
		"two doors, the token kept":     site("m2m_auth {\n\t\tkeep_token\n\t}\n\thandle /admin/* {\n\t\tm2m_auth\n\t}\n\treverse_proxy up:1\n"),
		"handle_path":                   site("handle_path /api/* {\n\t\t" + door + "\t\treverse_proxy up:1\n\t}\n"),
		"handle_path and respond":       site("m2m_auth {\n\t\trequire GET /api/x book\n\t}\n\thandle_path /api/* {\n\t\trespond /x hello\n\t}\n"),
		"strip a prefix":                site("uri strip_prefix /v1\n\t" + door + "\treverse_proxy up:1\n"),
		"rewrite before":                site("rewrite /old /books\n\tm2m_auth /books* {\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"),
		"forward_auth before":           site("forward_auth sso:1 {\n\t\turi /auth\n\t}\n\t" + door + "\treverse_proxy up:1\n"),
		"a door for forward_auth":       site("handle /check {\n\t\tm2m_auth\n\t\trespond 204\n\t}\n\treverse_proxy up:1\n"),
		"CORS":                          site("@preflight method OPTIONS\n\troute {\n\t\trespond @preflight 204\n\t\t" + door + "\t\treverse_proxy up:1\n\t}\n"),
		"errors":                        site(door + "\treverse_proxy up:1\n\thandle_errors {\n\t\trespond oops\n\t}\n"),
		"named routes":                  "&(api) {\n\troute {\n\t" + door + "\treverse_proxy up:1\n\t}\n}\n&(auth) {\n\tm2m_issuer\n}\nauth.example.com {\n\tinvoke auth\n}\napi.example.com {\n\tinvoke api\n}\n",
		"two resources, two audiences":  site("m2m_auth {\n\t\trequire GET /x book:*:read film:*:read\n\t}\n\treverse_proxy up:1\n"),
		"the other audience":            site("m2m_auth {\n\t\taudience https://films.example.com\n\t\trequire GET /films film:*:read\n\t}\n\treverse_proxy up:1\n"),
		"a line for the host":           site("m2m_auth {\n\t\trequire GET api.example.com/books book:*:read\n\t}\n\treverse_proxy up:1\n"),
		"wildcards in scopes":           site("m2m_auth {\n\t\trequire GET /x book:*:*\n\t\trequire GET /y *:*:*\n\t}\n\treverse_proxy up:1\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if warnings := warningsOf(t, s, strings.Replace(lintConfig, "REGISTRY", registry, 1)+caddyfile); len(warnings) > 0 {
				t.Errorf("warned of %q", warnings)
			}
		})
	}
}

// TestWarningsHavePositions: the adapter notes file and line of each part, and a config warns once when it is loaded, also when
// it is loaded as JSON.
func TestWarningsHavePositions(t *testing.T) {
	s := servertest.New(t)
	caddyfile := fmt.Sprintf("{\n\thttp_port %d\n\tm2m {\n\t\tissuer http://localhost:9999\n\t}\n}\nhttp://localhost {\n\tm2m_auth {\n\t\trequire GET /a book:read\n\t}\n}\n", servertest.FreePort(t))
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Caddyfile:4", "Caddyfile:8", "Caddyfile:9"} {
		if !strings.Contains(string(adapted), `"position":"`+want+`"`) {
			t.Errorf("%s has no position %s", adapted, want)
		}
	}
	if err := s.Load(caddyfile); err != nil {
		t.Fatal(err)
	}
	log := s.Log()
	for _, want := range []string{`"position":"Caddyfile:4"`, `"position":"Caddyfile:8"`} {
		if strings.Count(log, want) != 1 {
			t.Errorf("%s is not once in\n%s", want, log)
		}
	}
}
