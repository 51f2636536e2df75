package door

import (
	"crypto/x509"

	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/lru"
)

// Bounds of thumbprints. A certificate takes some KiB, and most connections have theirs anyway.
const (
	maxThumbprints  = 4 << 10
	thumbprintBytes = 32 << 20
	certificateSize = 4 << 10 // a parsed certificate, without its encoding
)

// thumbprints remembers the thumbprints of certificates that clients have used with their tokens, so that a connection costs
// one hash and not one for each request. It remembers facts alone: which token needs which certificate is compared each time.
// The keys are pointers to certificates that are kept, so another certificate never has the same one.
type thumbprints struct {
	known *lru.Cache[*x509.Certificate, string]
}

func newThumbprints() *thumbprints {
	return &thumbprints{lru.New[*x509.Certificate, string](maxThumbprints, thumbprintBytes)}
}

// match reports whether a certificate has the thumbprint. The owner, who has the token, pays for remembering it.
func (t *thumbprints) match(c *clientcert.Certificate, want, owner string) bool {
	if c.FromHeader { // the next request brings another copy
		return c.Thumbprint() == want
	}
	leaf, err := c.Leaf()
	if err != nil {
		return false
	}
	if known, ok := t.known.Get(leaf); ok {
		return known == want
	}
	if got := c.Thumbprint(); got != want {
		return false
	}
	t.known.Add(leaf, owner, want, certificateSize+len(leaf.Raw))
	return true
}
