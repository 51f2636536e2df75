package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// world is a running issuer and door, with an upstream that echoes what it sees.
type world struct {
	*servertest.Server
	issuer, upstream string
	registry, policy string // paths
	secret           string
}

const worldCaddyfile = `{
	m2m {
		issuer %[1]s {
			registry file %[3]s
			policy %[4]s
			dpop_nonce
		}
	}
}
%[1]s {
	m2m_issuer
	m2m_auth {
		require GET /books book:*:read
		require GET /books/{id} book:{id}:read
		require PUT /books/{id} book:{id}:edit
	}
	reverse_proxy %[5]s
}
%[2]s {
	respond ` + "`" + `{"client":"{http.request.header.X-Client-Id}","scope":"{http.request.header.X-Client-Scope}","authorization":"{http.request.header.Authorization}"}` + "`" + `
}
`

const worldRegistry = `resources:
  book:
    description: Books of the catalogue
    actions: {read: Read a book, edit: Change a book}
clients:
  demo:
    attributes: {team: catalogue}
    secrets: [{id: s1, sha256: %q}]
    grants:
      - {resource: book, identifiers: ["*"], actions: [read]}
`

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{issuer: servertest.FreeURL(t), upstream: servertest.FreeURL(t), secret: registry.NewSecret()}
	w.registry = servertest.WriteFile(t, dir, "registry.yaml", fmt.Sprintf(worldRegistry, registry.HashSecret(w.secret)))
	w.policy = dir + "/policy"
	servertest.WriteFile(t, w.policy, "token.rego", "package m2m.token\n\nclaims[\"team\"] := input.client.attributes.team\n")
	w.Server = servertest.Start(t, w.caddyfile())
	return w
}

func (w *world) caddyfile() string {
	return fmt.Sprintf(worldCaddyfile, w.issuer, w.upstream, w.registry, w.policy, strings.TrimPrefix(w.upstream, "http://"))
}

// TestSeedWalkthrough does the walkthrough of the reference: a client that may read books asks to read and to edit them.
func TestSeedWalkthrough(t *testing.T) {
	w := newWorld(t)
	for _, body := range []struct{ contentType, text string }{
		{"application/x-www-form-urlencoded", "grant_type=client_credentials&client_id=demo&client_secret=" + w.secret + "&scope=book%3A*%3Aread+book%3A*%3Aedit"},
		{"application/json", `{"grant_type":"client_credentials","client_id":"demo","client_secret":"` + w.secret + `","scope":"book:*:read book:*:edit"}`},
	} {
		response, err := http.Post(w.issuer+"/oauth2/token", body.contentType, strings.NewReader(body.text))
		if err != nil {
			t.Fatal(err)
		}
		got := servertest.Body(t, response)
		if response.StatusCode != http.StatusOK || !strings.Contains(got, `"scope":"book:*:read","rejected_scope":"book:*:edit"`) {
			t.Errorf("%s: %d %s", body.contentType, response.StatusCode, got)
		}
	}
}
