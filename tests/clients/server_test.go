// Package clients_test drives the whole server with programs that need many modules or are not written in Go: the extension of
// the OpenTelemetry Collector, MCP's SDK for Go, the OpenID Connect libraries of Zitadel and HashiCorp, requests-oauthlib and
// Chromium. It is a module of its own, so that the plugin does not have their dependencies.
package clients_test

import (
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// all is for the gate, where the programs must be there.
var all = flag.Bool("all", false, "fail if a program that a test needs is not installed")

// needs skips the test, or fails it with -all, if a command does not succeed.
func needs(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		if *all {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		t.Skipf("%s: %v", name, err)
	}
}

const client, short = "demo", "short" // the tokens of short live for five minutes

// server has an issuer at the root of its site and one below a path, both with the cookbook's policy that makes all grants the
// default scopes, and an API behind a door for each.
type server struct {
	*servertest.Server
	site, secret string
	apis         []string // of each issuer
	issuers      []string
}

// start starts the server. The upstream is what the API's site does for a request that the door lets through.
func start(t *testing.T, upstream string) *server {
	t.Helper()
	s := &server{site: servertest.FreeURL(t), secret: registry.NewSecret()}
	s.issuers = []string{s.site, s.site + "/tenants/a"}
	file := servertest.WriteFile(t, t.TempDir(), "registry.yaml", registryFile(s.secret))
	var app, site, apis strings.Builder
	for n, issuer := range s.issuers {
		s.apis = append(s.apis, servertest.FreeURL(t))
		fmt.Fprintf(&app, "issuer %s {\naudience %s\nregistry file %s\npolicy ../../docs/cookbook/granted-defaults\n}\n", issuer, s.apis[n], file)
		fmt.Fprintf(&site, "m2m_issuer %s\n", issuer)
		fmt.Fprintf(&apis, "%s {\nm2m_auth {\nissuer %s\nrequire /{$} book:*:read\nrequire /mcp book:*:read\n}\n%s\n}\n", s.apis[n], issuer, upstream)
	}
	s.Server = servertest.Start(t, "{\nm2m {\n"+app.String()+"}\n}\n"+s.site+" {\n"+site.String()+"}\n"+apis.String())
	return s
}

func registryFile(secret string) string {
	const grants = `{resource: book, identifiers: ["*"], actions: [read]}`
	hash := registry.HashSecret(secret)
	return fmt.Sprintf(`resources:
  book:
    actions: {read: Read a book, edit: Change a book}
clients:
  %s:
    secrets: [{id: s1, sha256: %q}]
    grants: [%s]
  %s:
    token_ttl: 5m
    secrets: [{id: s1, sha256: %q}]
    grants: [%s]
`, client, hash, grants, short, hash, grants)
}
