package token

import (
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/lru"
)

// Bounds of ProofKeys. A key takes some 2 KiB, one of RSA more.
const (
	maxProofKeys  = 16 << 10
	proofKeyBytes = 32 << 20
	proofKeySize  = 2 << 10 // of a key, without the text of the header
)

// ProofKeys remembers the keys of proofs by the header that holds them, because a client sends the same header with each
// proof, and reading it costs half as much as the signature check. It holds facts alone, and is safe for concurrent use.
type ProofKeys struct {
	known *lru.Cache[string, *proofKey]
}

type proofKey struct {
	header header
	key    *publicKey
}

// NewProofKeys returns an empty memory.
func NewProofKeys() *ProofKeys {
	return &ProofKeys{lru.New[string, *proofKey](maxProofKeys, proofKeyBytes)}
}

// Open is like OpenProof.
func (k *ProofKeys) Open(raw string) (*Proof, error) {
	if len(raw) > MaxProofSize {
		return openProof(raw, nil)
	}
	head, _, _ := split(raw)
	known, ok := k.known.Get(head)
	if !ok {
		return openProof(raw, nil)
	}
	return openProof(raw, &readProof{readHeader{head, known.header}, known.key})
}

// Keep remembers the key of a proof that Verify has accepted. The owner, such as a client, pays for it.
func (k *ProofKeys) Keep(p *Proof, owner string) {
	if !p.known {
		head := strings.Clone(p.c.head) // not the whole proof
		k.known.Add(head, owner, &proofKey{p.c.header, p.key}, proofKeySize+len(head))
	}
}

// readProof is a header that was read, and its key.
type readProof struct {
	readHeader
	key *publicKey
}
