package store

import (
	"encoding/base64"
	"regexp"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// isWhole reports whether there is a client and its object can be used.
func isWhole(c *registry.Client) bool { return c != nil && c.Damage == nil }

// decodeEvenDamaged returns the client of an object. If the object is damaged, the client has only its damage and the
// hashes of its secrets, as far as they can be read. A caller who has the secret learns that the
// fault is the server's, and any other gets the answer for an unknown client.
func decodeEvenDamaged(key, id string, object []byte) *registry.Client {
	var client *registry.Client
	entry, err := envelope.Open(clientLabel(id), object)
	if err == nil {
		client, err = registry.DecodeClient(id, entry)
	}
	if err != nil {
		return &registry.Client{ID: id, Damage: broken(key, err), Secrets: findHashes(object)}
	}
	return client
}

// storedHash is the hash of a secret in an entry.
var storedHash = regexp.MustCompile(`"sha256": ?"([A-Za-z0-9_-]{43})"(, ?"imported": ?true)?`)

// findHashes returns the hashes of secrets in an object that is damaged.
func findHashes(object []byte) []registry.Secret {
	var secrets []registry.Secret
	for _, match := range storedHash.FindAllSubmatch(object, registry.MaxSecrets) {
		s := registry.Secret{Imported: len(match[2]) > 0}
		if n, err := base64.RawURLEncoding.Decode(s.SHA256[:], match[1]); err == nil && n == len(s.SHA256) {
			secrets = append(secrets, s)
		}
	}
	return secrets
}
