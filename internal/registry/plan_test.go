package registry

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPlan plans what replacing a file by another would change.
func TestPlan(t *testing.T) {
	const file = `
resources:
  book: {description: Books, actions: {read: Read, edit: Edit}}
  invoice: {audience: https://invoices.example.com, actions: {pay: ""}}
clients:
  ci-bot:
    description: "yes"
    grants:
      - {resource: book, identifiers: ["*", "a:b"], actions: [read]}
      - {resource: "*", identifiers: ["secret-*"], actions: ["*"], effect: deny}
  "#odd,id": {}
`
	current := mustParse(t, "registry.yaml", file)
	plan := func(data string, prune bool) string {
		changes, err := current.Plan(t.Context(), "new.yaml", []byte(data), prune)
		if err != nil {
			return err.Error()
		}
		var done []string
		for _, c := range changes {
			done = append(done, c.Action()+" "+c.ID)
		}
		return strings.Join(done, ", ")
	}
	for data, want := range map[string]string{
		file:                                       "",
		"clients: {ci-bot: {}}":                    "update ci-bot",
		"clients: {new: {}}":                       "create new",
		"clients: {new: {x: 1}}":                   `new.yaml:1:17: unknown field "x" in a client: known are attributes, audiences, auth, description, disabled, dpop_bound_access_tokens, expires, grants, identities, introspects, jwks, jwks_uri, limits, networks, secrets, tls_client_auth_san_dns, tls_client_auth_san_email, tls_client_auth_san_ip, tls_client_auth_san_uri, tls_client_auth_subject_dn, tls_client_certificate_bound_access_tokens, token_ttl`,
		"resources: {book: {actions: {}}}":         "new.yaml:1:29: a resource must have an action",
		"resources: {book: {actions: {edit: ''}}}": `grants still name action "read" of "book": of ci-bot`,
	} {
		if got := plan(data, false); got != want {
			t.Errorf("%s: %s; want %s", data, got, want)
		}
	}
	if got := plan("clients: {ci-bot: {}}", true); got != "delete book, delete invoice, update ci-bot, delete #odd,id" {
		t.Errorf("pruning: %s", got)
	}
}

// TestExportIsParsed exports a file and parses it to the same content.
func TestExportIsParsed(t *testing.T) {
	for _, data := range []string{wholeYAML, "{}"} {
		for _, format := range []string{"json", "yaml"} {
			exported := func(s *Snapshot) string {
				resources, _ := s.Resources(t.Context())
				var out bytes.Buffer
				err := Export(&out, format, resources, func(yield func(*Client, error) bool) {
					ids, _ := s.ClientIDs(t.Context(), "", "", 0)
					for _, id := range ids {
						if !yield(s.Client(t.Context(), id)) {
							return
						}
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				return out.String()
			}
			text := exported(mustParse(t, "registry.yaml", data))
			parsed := mustParse(t, "registry."+format, text)
			if again := exported(parsed); again != text {
				t.Errorf("%s is exported as\n%s", text, again)
			}
			if changes, err := parsed.Plan(t.Context(), "registry.yaml", []byte(data), false); err != nil || len(changes) != 0 {
				t.Errorf("the file would change %v, %v in\n%s", changes, err, text)
			}
		}
	}
	broken := func(yield func(*Client, error) bool) { yield(nil, ErrUnavailable) }
	if err := Export(new(bytes.Buffer), "json", nil, broken); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without its clients, the export says %v", err)
	}
}

// TestSnapshotAuthenticates authenticates with the secrets of a file.
func TestSnapshotAuthenticates(t *testing.T) {
	secret := NewSecret()
	s := mustParse(t, "registry.yaml", "clients: {c: {secrets: [{id: s1, sha256: "+HashSecret(secret)+"}]}}")
	c, id, err := s.Authenticate(t.Context(), "c", secret, time.Now())
	if err != nil || c.ID != "c" || id != "s1" {
		t.Errorf("the right secret: %v, %q, %v", c, id, err)
	}
	if f := c.Secrets[0].Fingerprint(); len(f) != 8 || strings.Contains(HashSecret(secret), f) {
		t.Errorf("the fingerprint is %q", f)
	}
	for client, secret := range map[string]string{"c": NewSecret(), "unknown": secret} {
		if c, id, err := s.Authenticate(t.Context(), client, secret, time.Now()); c != nil || id != "" || !errors.Is(err, ErrRefused) {
			t.Errorf("%s with a wrong secret: %v, %q, %v", client, c, id, err)
		}
	}
	damaged := &Client{ID: "c", Secrets: c.Secrets, Damage: ErrBroken}
	if c, id, err := damaged.Authenticate(secret, time.Now()); c != nil || id != "" || !errors.Is(err, ErrBroken) {
		t.Errorf("a damaged client: %q, %v", id, err)
	}
}

// TestFieldsOfAnEntry checks the fields that the admin API accepts and suggests.
func TestFieldsOfAnEntry(t *testing.T) {
	if fields := ClientFields(); slices.Contains(fields, "secrets") || !slices.Contains(fields, "grants") {
		t.Errorf("a client has the fields %v", fields)
	}
	for _, c := range []struct{ name, want string }{
		{"token_tll", `unknown field "token_tll" in a client: did you mean "token_ttl"?`},
		{"secret", `unknown field "secret" in a client: the registry holds no secret itself`},
		{NewSecret(), "unknown field in a client: known are disabled, token_ttl"},
	} {
		if got := UnknownField(c.name, "a client", "token_ttl", "disabled"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if fields := ResourceFields(); !slices.Contains(fields, "actions") {
		t.Errorf("a resource has the fields %v", fields)
	}
}
