package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const lintMessage = "the config has a problem"

// lintRegistry has a resource of the issuer's audience, and one of another audience.
const lintRegistry = `resources:
  book: {actions: {read: Read, edit: Edit}}
  film: {audience: "https://films.example.com", actions: {read: Read}}
`

// lintTrust is the beginning of a Caddyfile whose issuer has these options, and a client with identities of two issuers.
func lintTrust(options string) string {
	return "{\n\tm2m {\n\t\tissuer https://auth.example.com {\n\t\t\tregistry file testdata/adapt/identities.yaml\n" + options + "\t\t}\n\t}\n}\n" + lintIssuer
}

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

// withLintConfig puts lintConfig before sites that have no global options of their own.
func withLintConfig(caddyfile, registry string) string {
	if strings.HasPrefix(caddyfile, "{") {
		return caddyfile
	}
	return strings.Replace(lintConfig, "REGISTRY", registry, 1) + caddyfile
}

// lintAlias is a config whose issuer has another site for clients with certificates.
const lintAlias = "{\n\tm2m {\n\t\tissuer https://auth.example.com {\n\t\t\tmtls_endpoint_aliases https://mtls.example.com\n\t\t}\n\t}\n}\n"

const (
	lintDoor  = "m2m_auth {\n\t\trequire GET /books book:*:read\n\t}\n"
	lintDoors = "m2m_auth {\n\t\trequire GET /books book:*:read\n\t\trequire GET /books/{id} book:{id}:read\n\t\trequire /docs/ book\n\t}\n"
)

// lintSite has its content at line 12.
func lintSite(content string) string { return lintIssuer + "api.example.com {\n\t" + content + "}\n" }

// neverWorks are configs that are valid, of which a part has no effect, or the wrong one.
var neverWorks = map[string]struct{ caddyfile, want string }{
	"no site for certificates":         {lintAlias + lintIssuer, "Caddyfile:3 no site serves the issuer https://auth.example.com at https://mtls.example.com, which its mtls_endpoint_aliases names; add m2m_issuer to the site mtls.example.com"},
	"a site that asks for none":        {lintAlias + "auth.example.com, mtls.example.com {\n\tm2m_issuer\n}\n", "Caddyfile:3 the site mtls.example.com, which mtls_endpoint_aliases of the issuer https://auth.example.com names, asks no client for a certificate"},
	"health behind a plain door":       {lintSite("respond /healthz 200\n\tm2m_auth\n\treverse_proxy up:1\n"), "Caddyfile:13 respond for /healthz stands behind this m2m_auth, so a probe needs a token; add `public GET /healthz` to the m2m_auth"},
	"header reads the client too soon": {lintSite("header X-Caller {http.auth.user.client_id}\n\t" + lintDoor + "\treverse_proxy up:1\n"), "Caddyfile:13 header runs before this m2m_auth and reads {http.auth.user.client_id}, which is empty there for every client"},
	"a path reads a claim too soon":    {lintSite("header /books* X-Team {http.auth.user.claims.team}\n\t" + lintDoor + "\treverse_proxy up:1\n"), "Caddyfile:13 header runs before this m2m_auth and reads {http.auth.user.claims.team}"},
	"a route reads the client first":   {lintSite("route {\n\t\trequest_header X-Caller {http.auth.user.client_id}\n\t\t" + lintDoor + "\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:14 header runs before this m2m_auth"},
	"a door in a handle comes later":   {lintSite("vars caller {http.auth.user.client_id}\n\thandle /books* {\n\t\t" + lintDoor + "\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:14 vars runs before this m2m_auth"},
	"paths go around the door":         {lintSite("@api not path /public/* /healthz\n\tm2m_auth @api {\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 requests for /public/* /healthz go around this m2m_auth"},
	"paths go around it in a route":    {lintSite("@api {\n\t\thost api.example.com\n\t\tnot path /public*\n\t}\n\troute {\n\t\tm2m_auth @api {\n\t\trequire GET /books book:*:read\n\t}\n\t\treverse_proxy up:1\n\t}\n"), "add lines such as `public GET /public/{rest...}` to the m2m_auth"},
	"no site serves the issuer":        {"api.example.com {\n\t" + lintDoor + "\treverse_proxy up:1\n}\n", "Caddyfile:3 no site serves the issuer https://auth.example.com; add m2m_issuer to the site auth.example.com"},
	"the issuer on another host":       {"api.example.com {\n\tm2m_issuer\n}\n", "Caddyfile:9 m2m_issuer serves the issuer https://auth.example.com on another host than auth.example.com"},
	"no site, and http":                {"{\n\tm2m {\n\t\tissuer http://localhost:9999\n\t}\n}\nhttp://localhost:9999 {\n\tm2m_auth\n\treverse_proxy up:1\n}\n", "Caddyfile:3 no site serves the issuer http://localhost:9999; add m2m_issuer to the site http://localhost:9999"},
	"another port of the issuer":       {"{\n\tm2m {\n\t\tissuer https://auth.example.com:8443\n\t}\n}\nidp.example.com:8443 {\n\tm2m_issuer\n}\n", "move it to the site auth.example.com:8443"},
	"the issuer in handle_path":        {"auth.example.com {\n\thandle_path /oauth2/* {\n\t\tm2m_issuer\n\t}\n}\n", "Caddyfile:10 m2m_issuer never gets the requests for /oauth2/token"},
	"the issuer below a prefix":        {"auth.example.com {\n\tm2m_issuer /auth/*\n}\n", "Caddyfile:9 m2m_issuer never gets the requests for /oauth2/token"},
	"the issuer without its keys":      {"auth.example.com {\n\tm2m_issuer /oauth2/token\n}\n", "Caddyfile:9 m2m_issuer never gets the requests for /oauth2/jwks"},
	"the issuer without metadata":      {"auth.example.com {\n\thandle /oauth2/* {\n\t\tm2m_issuer\n\t}\n}\n", "Caddyfile:10 m2m_issuer never gets the requests for its metadata, /.well-known/openid-configuration and /.well-known/oauth-authorization-server"},
	"ready behind a door":              {lintSite("route {\n\t\tm2m_auth\n\t\tm2m_ready /ready\n\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:13 m2m_ready stands behind this m2m_auth"},
	"another health path":              {lintSite("handle /healthz {\n\t\trespond ok\n\t}\n\tm2m_auth {\n\t\tpublic GET /health\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:15 handle for /healthz is never reached"},
	"a route that overtakes":           {lintSite("reverse_proxy /books* up:1\n\troute /books/* {\n\t\treverse_proxy up:1\n\t\tm2m_auth\n\t}\n"), "Caddyfile:15 m2m_auth is never reached: reverse_proxy before it"},
	"the issuer behind respond":        {"auth.example.com {\n\troute {\n\t\trespond hello\n\t\tm2m_issuer\n\t}\n}\n", "Caddyfile:11 m2m_issuer is never reached: respond before it"},
	"the issuer behind a door":         {"auth.example.com {\n\troute {\n\t\tm2m_auth\n\t\tm2m_issuer\n\t\trespond hello\n\t}\n}\n", "Caddyfile:11 m2m_issuer stands behind m2m_auth"},
	"a door's issuer is misspelt":      {lintSite("m2m_auth {\n\t\tissuer https://auth.example.com/prod\n\t\taudience x\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:12 no site serves the issuer https://auth.example.com/prod of this m2m_auth; the site auth.example.com serves the issuer https://auth.example.com"},
	"door behind reverse_proxy":        {lintSite("route {\n\t\treverse_proxy up:1\n\t\t" + lintDoor + "\t}\n"), "Caddyfile:14 m2m_auth is never reached: reverse_proxy before it"},
	"door behind file_server":          {lintSite("route {\n\t\tfile_server\n\t\t" + lintDoor + "\t}\n"), "Caddyfile:14 m2m_auth is never reached: file_server before it"},
	"door behind the same path":        {lintSite("route {\n\t\treverse_proxy /books* up:1\n\t\tm2m_auth /books/* {\n\t\t\trequire GET /books/{id} book:{id}:read\n\t\t}\n\t\trespond hello\n\t}\n"), "Caddyfile:14 m2m_auth is never reached: reverse_proxy before it"},
	"door in a route after handle":     {lintSite("handle {\n\t\treverse_proxy up:1\n\t}\n\troute {\n\t\t" + lintDoor + "\t}\n"), "Caddyfile:16 m2m_auth is never reached: reverse_proxy before it"},
	"door behind m2m_ready":            {lintSite("m2m_ready\n\t" + lintDoor + "\treverse_proxy up:1\n"), "Caddyfile:13 m2m_auth is never reached: m2m_ready before it"},
	"two doors":                        {lintSite("route {\n\t\tm2m_auth\n\t\t" + lintDoor + "\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:14 m2m_auth refuses every request with 401: the m2m_auth before it at Caddyfile:13 removes the token"},
	"two doors, one in a handle":       {lintSite("m2m_auth\n\thandle /admin/* {\n\t\tm2m_auth\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:14 m2m_auth refuses every request with 401"},
	"door with nothing behind":         {lintSite(lintDoor), "Caddyfile:12 nothing answers the requests that pass this m2m_auth"},
	"door with a header behind":        {lintSite("handle /books {\n\t\t" + lintDoor + "\t\theader X y\n\t}\n"), "Caddyfile:13 nothing answers the requests that pass this m2m_auth"},
	"respond is shadowed":              {lintSite("respond /healthz 200\n\t" + lintDoor + "\treverse_proxy up:1\n"), "Caddyfile:13 respond for /healthz is never reached: this m2m_auth runs before it"},
	"handle is shadowed":               {lintSite("handle /public/* {\n\t\tfile_server\n\t}\n\t" + lintDoor + "\treverse_proxy up:1\n"), "Caddyfile:15 handle for /public/* is never reached"},
	"a matcher misses a line":          {lintSite("m2m_auth /api/* {\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `require GET /books` never matches"},
	"a matcher misses the folder":      {lintSite("m2m_auth /books/* {\n\t\trequire GET /books book:*:read\n\t\trequire GET /books/{id} book:{id}:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `require GET /books` never matches"},
	"handle_path strips the path":      {lintSite("handle_path /api/* {\n\t\tm2m_auth {\n\t\t\trequire GET /api/books book:*:read\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:14 m2m_auth sees paths without /api, which handle_path or uri before it removes: write `require GET /books` instead of `require GET /api/books`"},
	"a line for another host":          {lintSite("m2m_auth {\n\t\trequire GET films.example.com/books book:*:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `require GET films.example.com/books` never matches: the site of this m2m_auth does not serve the host films.example.com"},
	"a matcher misses public":          {lintSite("m2m_auth /api/* {\n\t\tpublic GET /healthz\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `public GET /healthz` never matches"},
	"an issuer that is not trusted":    {lintTrust("\t\t\ttrust https://token.actions.githubusercontent.com\n"), "Caddyfile:3 client \"books\" has an identity of https://spire.example.com, which the issuer https://auth.example.com does not trust; add `trust https://spire.example.com` to the issuer"},
	"a misspelt issuer":                {lintTrust("\t\t\ttrust https://token.action.githubusercontent.com\n\t\t\ttrust https://spire.example.com {\n\t\t\t\ttype jwt-spiffe\n\t\t\t\ttrust_domain example.com\n\t\t\t}\n"), "does not trust; did you mean https://token.action.githubusercontent.com?"},
	"identities of another type":       {lintTrust("\t\t\ttrust https://token.actions.githubusercontent.com\n\t\t\ttrust https://spire.example.com\n"), "client \"books\" has an identity of type jwt-spiffe of https://spire.example.com, whose assertions are of type jwt"},
	"no such resource":                 {lintSite("m2m_auth {\n\t\trequire GET /books boks:*:read\n\t}\n\treverse_proxy up:1\n"), `Caddyfile:13 ` + "`require GET /books`" + ` needs boks:*:read, which no token can have: the registry has no resource "boks"; did you mean "book"?`},
	"no such action":                   {lintSite("m2m_auth {\n\t\trequire GET /books book:*:raed\n\t}\n\treverse_proxy up:1\n"), `the resource "book" has no action "raed"; did you mean "read"?`},
	"the action first":                 {lintSite("m2m_auth {\n\t\trequire GET /books read:books\n\t}\n\treverse_proxy up:1\n"), `the registry has no resource "read"; a scope is resource:identifier:action, so did you mean "book:read"?`},
	"a resource for others":            {lintSite("m2m_auth {\n\t\trequire GET /films film:*:read\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:13 `require GET /films` needs film:*:read, whose tokens are for an audience that this m2m_auth does not accept"},
	"an audience of no token":          {lintSite("m2m_auth {\n\t\taudience https://api.example.com\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:12 m2m_auth refuses every token: it wants the audience https://api.example.com, and the resources of the registry are for https://auth.example.com, https://films.example.com"},
	"bound mtls without client_auth":   {lintSite(boundDoor), "Caddyfile:12 m2m_auth refuses every request: `bound mtls` needs a client certificate, and its site does not ask for one"},
	"door behind another that answers": {lintSite("route {\n\t\tm2m_auth {\n\t\t\tforward_auth x_forwarded\n\t\t}\n\t\tm2m_auth\n\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:16 m2m_auth is never reached: m2m_auth before it"},
}

// boundDoor is a door that every request needs a client certificate for.
const boundDoor = "m2m_auth {\n\t\tbound mtls\n\t}\n\treverse_proxy up:1\n"

// works are configs about which there is no warning.
var works = map[string]string{
	"a site for certificates":       lintAlias + lintIssuer + "mtls.example.com {\n\ttls {\n\t\tclient_auth {\n\t\t\tmode request\n\t\t}\n\t}\n\tm2m_issuer\n}\n",
	"certificates from a proxy":     strings.Replace(lintAlias, "aliases", "aliases https://mtls.example.com\n\t\t\tclient_certificate_header #", 1) + lintIssuer,
	"identities of trusted issuers": lintTrust("\t\t\ttrust https://token.actions.githubusercontent.com\n\t\t\ttrust https://spire.example.com {\n\t\t\t\ttype jwt-spiffe\n\t\t\t\ttrust_domain example.com\n\t\t\t}\n"),
	"bound mtls with client_auth":   lintSite("tls {\n\t\tclient_auth {\n\t\t\tmode request\n\t\t}\n\t}\n\t" + boundDoor),
	"bound mtls behind a proxy":     lintSite("m2m_auth {\n\t\tbound mtls\n\t\tclient_certificate_header\n\t}\n\treverse_proxy up:1\n"),
	"bound, also in another way":    lintSite("m2m_auth {\n\t\tbound mtls dpop\n\t}\n\treverse_proxy up:1\n"),
	"exempted paths have files":     lintSite("@api not path /public/*\n\tm2m_auth @api {\n\t\trequire GET /books book:*:read\n\t}\n\tfile_server\n"),
	"exempted paths are not served": lintSite("@api not path /public/*\n\tm2m_auth @api {\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy @api up:1\n"),
	"a method is exempted":          lintSite("@api not method OPTIONS\n\tm2m_auth @api {\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"),
	"the client later in headers":   lintSite("header >X-Caller {http.auth.user.client_id}\n\t" + lintDoors + "\treverse_proxy up:1\n"),
	"the client in a log":           lintSite("log_append caller {http.auth.user.client_id}\n\t" + lintDoors + "\treverse_proxy up:1\n"),
	"the client behind the door":    lintSite(lintDoors + "\trequest_header X-Caller {http.auth.user.client_id}\n\treverse_proxy up:1 {\n\t\theader_up X-Id {http.auth.user.client_id}\n\t}\n"),
	"the user of basic_auth":        lintSite("header X-User {http.auth.user.id}\n\t" + lintDoors + "\treverse_proxy up:1\n"),
	"the client between two doors":  lintSite("route {\n\t\tm2m_auth /a/*\n\t\trequest_header X-Caller {http.auth.user.client_id}\n\t\tm2m_auth /b/*\n\t\treverse_proxy up:1\n\t}\n"),
	"the client on other paths":     lintSite("header /static/* X-Caller {http.auth.user.client_id}\n\tm2m_auth /books/*\n\treverse_proxy up:1\n"),
	"one site":                      "auth.example.com {\n\tm2m_issuer\n\t" + lintDoors + "\treverse_proxy up:1\n}\n",
	"a port":                        ":8080 {\n\tm2m_issuer\n\t" + lintDoors + "\treverse_proxy up:1\n}\n",
	"several hosts":                 "api.example.com, http://auth.example.com {\n\tm2m_issuer\n\t" + lintDoors + "\treverse_proxy up:1\n}\n",
	"a wildcard":                    "*.example.com {\n\ttls internal\n\t@auth host auth.example.com\n\thandle @auth {\n\t\tm2m_issuer\n\t}\n\thandle {\n\t\t" + lintDoors + "\t\treverse_proxy up:1\n\t}\n}\n",
	"a path of the issuer's":        "{\n\tm2m {\n\t\tissuer https://id.example.com/a\n\t}\n}\nid.example.com {\n\thandle /a/* {\n\t\tm2m_issuer\n\t}\n}\n",
	"ready and a public line":       lintSite("route {\n\t\tm2m_auth {\n\t\t\tpublic GET /ready\n\t\t}\n\t\tm2m_ready /ready\n\t\treverse_proxy up:1\n\t}\n"),
	"a matcher of the issuer":       "auth.example.com {\n\t@m2m path /oauth2/* /.well-known/*\n\thandle @m2m {\n\t\tm2m_issuer\n\t}\n\thandle {\n\t\trespond 404\n\t}\n}\n",
	"the end of the issuer's site":  "auth.example.com {\n\tm2m_issuer\n\trespond 404\n}\napi.example.com {\n\t" + lintDoors + "\treverse_proxy up:1\n}\n",
	"an issuer of another provider": lintSite("m2m_auth {\n\t\tissuer https://login.example.org\n\t\taudience x\n\t\trequire GET /books anything:read\n\t}\n\treverse_proxy up:1\n"),
	"a remote issuer beside":        "auth.example.com {\n\tm2m_issuer\n\treverse_proxy /realms/* keycloak:8080\n}\napi.example.com {\n\tm2m_auth {\n\t\tissuer https://auth.example.com/realms/x\n\t\taudience x\n\t}\n\treverse_proxy up:1\n}\n",
	"health before the door":        lintSite("route {\n\t\trespond /healthz 200\n\t\t" + lintDoors + "\t\treverse_proxy up:1\n\t}\n"),
	"health with a line":            lintSite("respond /books hello\n\t" + lintDoors + "\treverse_proxy up:1\n"),
	"health with a public line":     lintSite("respond /healthz 200\n\tm2m_auth {\n\t\tpublic GET /healthz\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"),
	"a door that answers a proxy":   lintSite("handle /check {\n\t\tm2m_auth {\n\t\t\tforward_auth x_forwarded\n\t\t\trequire GET /books book:*:read\n\t\t}\n\t}\n\treverse_proxy up:1\n"),
	"a page behind a plain door":    lintSite("respond /hello 200\n\tm2m_auth\n\treverse_proxy up:1\n"),
	"ready":                         lintSite("m2m_ready /ready\n\t" + lintDoors + "\treverse_proxy up:1\n"),
	"handles behind a door":         lintSite(lintDoors + "\thandle /books/* {\n\t\treverse_proxy up:1\n\t}\n\thandle /docs* {\n\t\tfile_server\n\t}\n\thandle {\n\t\trespond 404\n\t}\n"),
	"doors in handles":              lintSite("handle /books* {\n\t\tm2m_auth {\n\t\t\trequire GET /books/{id} book\n\t\t}\n\t\treverse_proxy up:1\n\t}\n\thandle /public/* {\n\t\tfile_server\n\t}\n"),
	"one snippet in two handles":    "(door) {\n\t" + lintDoors + "}\n" + lintSite("handle /books* {\n\t\timport door\n\t\treverse_proxy up:1\n\t}\n\thandle /docs/* {\n\t\timport door\n\t\tfile_server\n\t}\n"),
	"two doors apart":               lintSite("m2m_auth /a/*\n\tm2m_auth /b/*\n\treverse_proxy up:1\n"),
	"two doors, the token kept":     lintSite("m2m_auth {\n\t\tkeep_token\n\t}\n\thandle /admin/* {\n\t\tm2m_auth\n\t}\n\treverse_proxy up:1\n"),
	"handle_path":                   lintSite("handle_path /api/* {\n\t\t" + lintDoors + "\t\treverse_proxy up:1\n\t}\n"),
	"handle_path and respond":       lintSite("m2m_auth {\n\t\trequire GET /api/x book\n\t}\n\thandle_path /api/* {\n\t\trespond /x hello\n\t}\n"),
	"strip a prefix":                lintSite("uri strip_prefix /v1\n\t" + lintDoors + "\treverse_proxy up:1\n"),
	"rewrite before":                lintSite("rewrite /old /books\n\tm2m_auth /books* {\n\t\trequire GET /books book:*:read\n\t}\n\treverse_proxy up:1\n"),
	"forward_auth before":           lintSite("forward_auth sso:1 {\n\t\turi /auth\n\t}\n\t" + lintDoors + "\treverse_proxy up:1\n"),
	"a door for forward_auth":       lintSite("handle /check {\n\t\tm2m_auth\n\t\trespond 204\n\t}\n\treverse_proxy up:1\n"),
	"CORS":                          lintSite("@preflight method OPTIONS\n\troute {\n\t\trespond @preflight 204\n\t\t" + lintDoors + "\t\treverse_proxy up:1\n\t}\n"),
	"errors":                        lintSite(lintDoors + "\treverse_proxy up:1\n\thandle_errors {\n\t\trespond oops\n\t}\n"),
	"named routes":                  "&(api) {\n\troute {\n\t" + lintDoors + "\treverse_proxy up:1\n\t}\n}\n&(auth) {\n\tm2m_issuer\n}\nauth.example.com {\n\tinvoke auth\n}\napi.example.com {\n\tinvoke api\n}\n",
	"two resources, two audiences":  lintSite("m2m_auth {\n\t\trequire GET /x book:*:read film:*:read\n\t}\n\treverse_proxy up:1\n"),
	"an audience in another form":   lintSite("m2m_auth {\n\t\taudience HTTPS://Films.example.com:443/\n\t\trequire GET /films film:*:read\n\t}\n\treverse_proxy up:1\n"),
	"the other audience":            lintSite("m2m_auth {\n\t\taudience https://films.example.com\n\t\trequire GET /films film:*:read\n\t}\n\treverse_proxy up:1\n"),
	"a line for the host":           lintSite("m2m_auth {\n\t\trequire GET api.example.com/books book:*:read\n\t}\n\treverse_proxy up:1\n"),
	"wildcards in scopes":           lintSite("m2m_auth {\n\t\trequire GET /x book:*:*\n\t\trequire GET /y *:*:*\n\t}\n\treverse_proxy up:1\n"),
}

// TestConfigThatCanNeverWork: a config of which a part can never work is valid, and has one warning.
func TestConfigThatCanNeverWork(t *testing.T) {
	s := servertest.New(t)
	registry := servertest.WriteFile(t, t.TempDir(), "registry.yaml", lintRegistry)
	for name, c := range neverWorks {
		t.Run(name, func(t *testing.T) {
			warnings := warningsOf(t, s, withLintConfig(c.caddyfile, registry))
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
	for name, caddyfile := range works {
		t.Run(name, func(t *testing.T) {
			if warnings := warningsOf(t, s, withLintConfig(caddyfile, registry)); len(warnings) > 0 {
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
