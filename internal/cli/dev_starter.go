package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// writeFiles writes the config, and the other files that the folder lacks. It returns the secret of the demo client, and
// whether that is new.
func (s *devServer) writeFiles() (secret string, fresh bool, err error) {
	var caddyfile bytes.Buffer
	if err := devTemplates.ExecuteTemplate(&caddyfile, "Caddyfile.tmpl", s); err != nil {
		return "", false, err
	}
	if err := os.WriteFile(s.path("Caddyfile"), caddyfile.Bytes(), 0o600); err != nil {
		return "", false, err
	}
	if err := os.MkdirAll(s.path("policy"), 0o700); err != nil {
		return "", false, err
	}
	rego, err := devFiles.ReadFile("dev_files/token.rego")
	if err != nil {
		return "", false, err
	}
	if _, err := writeNew(s.path("policy", "token.rego"), rego); err != nil {
		return "", false, err
	}
	return s.writeSecret()
}

// writeSecret makes a secret and stores it, unless a former run has stored one.
func (s *devServer) writeSecret() (secret string, fresh bool, err error) {
	path := s.path("demo.env")
	secret = registry.NewSecret()
	fresh, err = writeNew(path, fmt.Appendf(nil, "CLIENT_ID=demo\nCLIENT_SECRET=%s\n", secret))
	if fresh || err != nil {
		return secret, fresh, err
	}
	env, err := readEnvFile(path)
	if err != nil {
		return "", false, err
	}
	if err := registry.CheckSecret(env["CLIENT_SECRET"]); err != nil {
		return "", false, fmt.Errorf("%s: %w; remove the file to get a new secret", path, err)
	}
	return env["CLIENT_SECRET"], false, nil
}

// writeNew writes a file that only its owner can read, unless a file of that name exists.
func writeNew(path string, content []byte) (written bool, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = file.Write(content)
	return true, errors.Join(err, file.Close())
}

// addStarter adds the starter's entries to a registry. Existing entries stay, except for the secret if it is fresh.
func addStarter(ctx context.Context, entries *store.Store, secret string, fresh bool) error {
	_, err := entries.EditResource(ctx, "book", func(r *registry.Resource) (*registry.Resource, error) {
		if r == nil {
			r = &registry.Resource{
				Code: "book", Description: "Books of the catalogue",
				Actions: map[string]string{"read": "Read a book", "edit": "Change a book"},
			}
		}
		return r, nil
	})
	if err != nil {
		return err
	}
	_, err = entries.EditClient(ctx, "demo", func(c *registry.Client) (*registry.Client, error) {
		switch {
		case c == nil:
			c = &registry.Client{
				ID: "demo", Description: "To try things out with",
				Grants: []scope.Grant{{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"}}},
			}
			fallthrough
		case fresh:
			c.Secrets = []registry.Secret{{ID: "s1", SHA256: registry.SumSecret(secret), Created: time.Now().UTC().Truncate(time.Second)}}
		}
		return c, nil
	})
	return err
}
