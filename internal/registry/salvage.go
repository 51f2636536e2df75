package registry

import (
	"encoding/base64"
	"regexp"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

// isWhole reports whether there is a client whose object can be used.
func (c *Client) isWhole() bool { return c != nil && c.Damage == nil }

// decodeOrSalvage returns the client of an object. If the object is damaged, the client has only its damage and the
// hashes of its secrets, as far as they can be read. They tell its owner from a stranger: the owner learns that the fault
// is ours, and a stranger gets the answer of an unknown client.
func decodeOrSalvage(key, id string, object []byte) *Client {
	client, err := decodeClientObject(id, object)
	if err != nil {
		return &Client{ID: id, Damage: broken(key, err), Secrets: salvageSecrets(object)}
	}
	return client
}

func decodeClientObject(id string, object []byte) (*Client, error) {
	entry, err := envelope.Open(clientLabel(id), object)
	if err != nil {
		return nil, err
	}
	return decodeClient(id, entry)
}

// storedHash is the hash of a secret as an entry holds it.
var storedHash = regexp.MustCompile(`"sha256": ?"([A-Za-z0-9_-]{43})"`)

// salvageSecrets finds the hashes of secrets in an object that is damaged.
func salvageSecrets(object []byte) []Secret {
	var secrets []Secret
	for _, match := range storedHash.FindAllSubmatch(object, MaxSecrets) {
		var s Secret
		if n, err := base64.RawURLEncoding.Decode(s.SHA256[:], match[1]); err == nil && n == len(s.SHA256) {
			secrets = append(secrets, s)
		}
	}
	return secrets
}
