package registry

import (
	"encoding/base64"
	"strings"
)

// howToSecret says what to do about a secret in a file, or in an entry from elsewhere, in place of its hash.
func (d *decoder) howToSecret() string {
	if d.problems.file == "" {
		return `the registry holds no secret itself: "caddy m2m secret create" makes one, and treat this one as leaked`
	}
	return `a file holds no secret itself: "caddy m2m secret new" makes one, and the line for this file`
}

var secretSchema = schema[Secret]{
	what: "a secret",
	fields: map[string]func(*decoder, *node, *Secret){
		"id":       func(d *decoder, n *node, s *Secret) { s.ID = d.secretID(n) },
		"sha256":   func(d *decoder, n *node, s *Secret) { s.SHA256 = d.hash(n) },
		"imported": func(d *decoder, n *node, s *Secret) { s.Imported = d.bool(n, "imported") },
		"created":  func(d *decoder, n *node, s *Secret) { s.Created = d.time(n, "created") },
		"expires":  func(d *decoder, n *node, s *Secret) { s.Expires = d.time(n, "expires") },
	},
	required: []string{"id", "sha256"},
}

func (d *decoder) secrets(n *node, clientID string) []Secret {
	secrets := make([]Secret, 0, min(len(n.children), MaxSecrets))
	for item := range d.items(n, "secrets") {
		if len(secrets) == MaxSecrets {
			d.problems.add(item.at, "a client may have %d secrets at most", MaxSecrets)
			break
		}
		if item.kind == stringKind {
			d.problems.add(item.at, "a secret must be a mapping: %s", d.howToSecret())
			continue
		}
		var s Secret
		secretSchema.read(d, item, &s)
		d.checkSecret(item, s, clientID, secrets)
		secrets = append(secrets, s)
	}
	return secrets
}

// checkSecret reports a secret that repeats an earlier one of the client, or that is easily guessed.
func (d *decoder) checkSecret(n *node, s Secret, clientID string, earlier []Secret) {
	if s.SHA256 == ([32]byte{}) {
		return // missing, or already reported
	}
	if of := weakness(s.SHA256, clientID); of != "" {
		d.problems.add(n.at, "weak secret: the hash is that of %s", of)
	}
	for _, e := range earlier {
		if e.ID == s.ID && s.ID != "" {
			d.problems.add(n.at, "duplicate id among the secrets of a client")
		}
		if e.SHA256 == s.SHA256 {
			d.problems.add(n.at, "duplicate sha256 among the secrets of a client")
		}
	}
}

func (d *decoder) secretID(n *node) string {
	id := d.text(n, "id")
	if n.kind != stringKind {
		return ""
	}
	if err := CheckClientID(id); err != nil {
		d.problems.add(n.at, "a secret's id: %v", err)
	}
	return id
}

// hash returns the 32 bytes of a hash, or zeros if there is a problem with it.
func (d *decoder) hash(n *node) (sum [32]byte) {
	if !d.is(n, stringKind, "sha256") {
		return sum
	}
	text := n.text
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	switch {
	case strings.HasPrefix(text, secretPrefix):
		d.problems.add(n.at, "sha256 is a secret: %s", d.howToSecret())
	case isHex(text):
		d.problems.add(n.at, "sha256 must be in base64url, not in hex")
	case err != nil || len(decoded) != len(sum) || len(text) != hashLength:
		d.problems.add(n.at, "sha256 must be %d characters of base64url without padding", hashLength)
	case [32]byte(decoded) == sum:
		d.problems.add(n.at, "weak secret: the hash is all zeros")
	default:
		return [32]byte(decoded)
	}
	return sum
}

const hashLength = 43

func isHex(text string) bool {
	return len(text) == 64 && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}
