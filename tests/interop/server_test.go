// Package interop_test drives the whole server with the OAuth, OpenID Connect and JWT libraries
// that Go programs use, which know nothing of this project.
package interop_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// client is the id of the client that most tests are, and ledger the audience of a resource that
// is not the door's.
const (
	client = "demo"
	ledger = "https://ledger.example.com"
)

// issuers are the issuers of one site, each with another algorithm, all but one below a path.
var issuers = []struct{ path, alg string }{
	{"", "ES256"},
	{"/tenants/rsa", "RS256"},
	{"/tenants/pss", "PS256"},
	{"/tenants/ed", "EdDSA"},
}

// server has the issuers, and an API behind a door that accepts the tokens of the first.
type server struct {
	*servertest.Server
	site, api, upstream string // URLs
	registry            string // path of the registry file
	secret              string // of every client
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{site: servertest.FreeURL(t), api: servertest.FreeURL(t), upstream: servertest.FreeURL(t), secret: registry.NewSecret()}
	s.registry = servertest.WriteFile(t, t.TempDir(), "registry.yaml", registryFile(s.secret))
	s.Server = servertest.Start(t, s.caddyfile())
	return s
}

func (s *server) caddyfile() string {
	var app, site strings.Builder
	for _, issuer := range issuers {
		fmt.Fprintf(&app, "issuer %s {\nregistry file %s\naudience %s\nsigning_alg %s\npolicy {\ntimeout 20s\n}\n}\n", s.site+issuer.path, s.registry, s.api, issuer.alg)
		fmt.Fprintf(&site, "m2m_issuer %s\n", s.site+issuer.path)
	}
	return "{\nm2m {\n" + app.String() + "}\n}\n" + s.site + " {\n" + site.String() + "}\n" + s.doorCaddyfile()
}

// doorCaddyfile is the API's site, and its upstream, which answers with what it sees.
func (s *server) doorCaddyfile() string {
	return fmt.Sprintf(`%s {
	m2m_auth {
		issuer %s
		require GET /books/{id} book:{id}:read
		require PUT /books/{id} book:{id}:edit
	}
	reverse_proxy %s
}
%s {
	respond "{http.request.method} client={http.request.header.X-Client-Id} scope={http.request.header.X-Client-Scope} authorization={http.request.header.Authorization}"
}
`, s.api, s.site, strings.TrimPrefix(s.upstream, "http://"), s.upstream)
}

// registryFile has the ordinary client and those with odd ids, all with the same secret, the same
// grants.
func registryFile(secret string) string {
	var file strings.Builder
	fmt.Fprintf(&file, `resources:
  book:
    actions: {read: Read a book, edit: Change a book}
  ledger:
    audience: %s
    actions: {read: Read the ledger}
clients:
`, ledger)
	for _, id := range append([]string{client}, oddClientIDs...) {
		fmt.Fprintf(&file, `  %q:
    secrets: [{id: s1, sha256: %q}]
    grants:
      - {resource: book, identifiers: ["*"], actions: [read]}
      - {resource: ledger, identifiers: ["*"], actions: [read]}
`, id, registry.HashSecret(secret))
	}
	return file.String()
}
