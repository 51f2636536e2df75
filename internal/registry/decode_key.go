package registry

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

// maxKeyMember is the greatest number of bytes of a member of a key. An RSA key of 8192 bits has 1366.
const maxKeyMember = 2048

// secretMembers are the members of private and symmetric keys (RFC 7518 §6).
var secretMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

var errPrivate = errors.New("it is a private or a symmetric key, and a registry holds public keys only: treat it as leaked")

// keySet is a JWK Set as it is read (RFC 7517 §5). Other members are ignored, as the RFC says.
func (d *decoder) keySet(n *node) (keys []Key) {
	found := false
	for name, value := range d.members(n, "jwks") {
		switch {
		case name.text == "keys":
			keys, found = d.keys(value), true
		case isSecretMember(name, value): // a key in the place of a set
			d.problems.add(name.at, "jwks: %v", errPrivate)
		}
	}
	if n.kind == mappingKind && !found {
		d.problems.add(n.at, `jwks must have "keys"`)
	}
	return keys
}

func (d *decoder) keys(n *node) []Key {
	keys, count := make([]Key, 0, min(len(n.children), MaxKeys)), 0
	for item := range d.items(n, "keys") {
		if count++; count > MaxKeys {
			d.problems.add(item.at, "a client may have %d keys at most", MaxKeys)
			break
		}
		if key, ok := d.key(item); ok {
			d.checkKey(item, key, keys)
			keys = append(keys, key)
		}
	}
	d.notEmpty(n, "keys")
	return keys
}

func (d *decoder) checkKey(n *node, key Key, earlier []Key) {
	for _, e := range earlier {
		if e.ID == key.ID && key.ID != "" {
			d.problems.add(n.at, "duplicate kid among the keys of a client")
		}
		if e.Thumbprint == key.Thumbprint {
			d.problems.add(n.at, "duplicate key of a client")
		}
	}
}

// key reads a JWK. It ignores members that say nothing about how to verify signatures (RFC 7517 §4).
func (d *decoder) key(n *node) (Key, bool) {
	var j publicJWK
	texts := map[string]*string{"kty": &j.KTY, "kid": &j.KID, "alg": &j.ALG, "crv": &j.CRV, "x": &j.X, "y": &j.Y, "n": &j.N, "e": &j.E}
	before := d.problems.total
	for name, value := range d.members(n, "a key") {
		text := texts[name.text]
		switch {
		case isSecretMember(name, value):
			d.problems.add(name.at, "a key: %v", errPrivate)
		case name.text == "keys":
			d.problems.add(name.at, "a key: it is a JWK Set: give one of its keys")
		case text != nil && value.kind != nullKind:
			*text = d.keyMember(value, name.text)
		case name.text == "use" && value.kind != nullKind && value.text != "sig":
			d.problems.add(value.at, "a key: its use is not sig, so it is not for signatures")
		case name.text == "key_ops" && value.kind != nullKind:
			d.keyOps(value)
		}
	}
	if n.kind != mappingKind || d.problems.total > before {
		return Key{}, false
	}
	j = j.canonical()
	_, err := j.public()
	if j.KTY == "oct" {
		err = errPrivate
	}
	if err == nil {
		err = checkKeyID(j.KID)
	}
	if err != nil {
		d.problems.add(n.at, "a key: %v", err)
		return Key{}, false
	}
	return j.key(), true
}

func isSecretMember(name, value *node) bool {
	return slices.Contains(secretMembers, name.text) && value.kind != nullKind
}

func (d *decoder) keyMember(n *node, name string) string {
	text := d.text(n, name+" of a key")
	if len(text) > maxKeyMember {
		d.problems.add(n.at, "%s of a key is longer than %d bytes", name, maxKeyMember)
		return ""
	}
	return text
}

func (d *decoder) keyOps(n *node) {
	verifies := false
	for item := range d.items(n, "key_ops of a key") {
		verifies = verifies || item.kind == stringKind && item.text == "verify"
	}
	if n.kind == listKind && !verifies {
		d.problems.add(n.at, "a key: its key_ops do not have verify, so it is not for signatures")
	}
}

// checkKeyID returns an error if a kid is not printable ASCII without spaces. It is in logs.
func checkKeyID(kid string) error {
	if len(kid) > MaxKeyID {
		return fmt.Errorf("its kid is longer than %d bytes", MaxKeyID)
	}
	for i := range len(kid) {
		if c := kid[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("character 0x%02x at byte %d of its kid is not allowed", c, i+1)
		}
	}
	return nil
}

func (d *decoder) httpsURL(n *node, what string) string {
	text := d.text(n, what)
	if n.kind != stringKind {
		return ""
	}
	if err := checkURL(text); err != nil {
		d.problems.add(n.at, "%s: %v", what, err)
	}
	return text
}

// maxURL is the greatest number of bytes of a URL.
const maxURL = 2048

// checkURL returns an error if a URL is not https, or http on loopback. Errors do not repeat it.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return fmt.Errorf("longer than %d bytes", maxURL)
	case err != nil || u.Hostname() == "" || !isURIText(text):
		return errors.New("must be the URL of a server, such as https://partner.example.com/jwks.json")
	case u.Scheme != "https" && !(u.Scheme == "http" && fetch.IsLoopback(u.Hostname())):
		return errors.New("must be https; http is for loopback only")
	case u.User != nil:
		return errors.New("must not have a user or a password")
	case strings.Contains(text, "#"):
		return errors.New("must not have a fragment")
	}
	return nil
}
