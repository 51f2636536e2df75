package token

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/caddy-m2m/caddy-m2m/internal/lru"
)

// Memory remembers tokens of one issuer for the Verifiers that share it: those that a Verifier has accepted, and those that
// this process has signed. It is bounded in bytes, with a share for each client. A nil Memory remembers nothing. It is safe
// for concurrent use, needs no closing, and holds no lock during a signature check.
//
// A Memory holds only what follows from the text of a token, or from the text and a key: what its header and its claims say,
// and with which keys its signature was checked, with what result. It holds no verdict. A Verifier checks the header, the
// type, the algorithm, the keys in force and the claims each time, so the answer is the one that it gives without a Memory,
// whichever Verifier has remembered the token, and whatever has happened to keys and settings since.
type Memory struct {
	verified *lru.Cache[tokenID, *facts]
	minted   *lru.Cache[tokenID, *facts]
}

// mintedPart of a Memory, as in 1/mintedPart, is for tokens that were signed here and have not been seen since. They cannot
// push out others.
const mintedPart = 4

// facts are what is known of a token. They do not change.
type facts struct {
	header header
	checks []check
	claims *Claims // nil if the payload has not been read yet
	// reading is how the claims were read.
	reading reading
}

// NewMemory returns a Memory of the given number of bytes.
func NewMemory(bytes int) *Memory {
	return &Memory{
		verified: lru.New[tokenID, *facts](math.MaxInt, bytes-bytes/mintedPart),
		minted:   lru.New[tokenID, *facts](math.MaxInt, bytes/mintedPart),
	}
}

// hashOf returns the hash of a text without a copy of it.
func hashOf(raw string) tokenID { return sha256.Sum256(unsafe.Slice(unsafe.StringData(raw), len(raw))) }

// Minted notes that Sign of a key has just returned a token for a client. The claims are read when the token is first used,
// as those of any token.
func (m *Memory) Minted(raw string, key *SigningKey, client string) {
	if m == nil || !strings.HasPrefix(raw, key.header) {
		return
	}
	m.minted.Add(hashOf(raw), client, key.signs, 0)
}

// find returns what is known of a token, nil if that is nothing. A token that was signed here and is used for the first time
// stays where it is: many are used once, and to keep their claims would only cost memory. So more is worth to be known of it if
// it is used again.
func (m *Memory) find(id tokenID) (known *facts, source Source, enough bool) {
	if m == nil {
		return nil, Missed, false
	}
	if known, ok := m.verified.Get(id); ok {
		return known, Remembered, true
	}
	if known, again, ok := m.minted.GetAgain(id); ok {
		return known, Minted, !again
	}
	return nil, Missed, false
}

// remember adds a token, in the place of what is known of it.
func (m *Memory) remember(id tokenID, known facts) {
	if m == nil {
		return
	}
	m.forget(id)
	m.verified.Add(id, cmp.Or(known.claims.ClientID, known.claims.Subject), &known, known.heapSize())
}

func (m *Memory) forget(id tokenID) {
	if m != nil {
		m.verified.Delete(id)
		m.minted.Delete(id)
	}
}

// MemoryUse is how much of a Memory is used.
type MemoryUse struct {
	Verified, Minted int // tokens that were verified, and tokens that were signed here and not seen since
	Bytes            int
}

// Use returns how much is used.
func (m *Memory) Use() (use MemoryUse) {
	if m == nil {
		return use
	}
	var verified, minted int
	use.Verified, verified = m.verified.Len()
	use.Minted, minted = m.minted.Len()
	use.Bytes = verified + minted
	return use
}

// open returns a token of which this is known. Its form was checked before.
func (f *facts) open(raw string) compact {
	head, payload, signature := split(raw)
	c := compact{
		header: f.header, input: raw[:len(head)+1+len(payload)], payload: payload, signature: signature,
		checks: f.checks, read: f.claims, reading: f.reading,
	}
	if f.claims != nil {
		c.all = f.claims.All
	}
	return c
}

// reading is what the options of an Expect change about the claims that readClaims returns.
type reading struct {
	scopeClaim, clientClaim string
	missing                 string // what may be missing
	noAudience              bool
}

func (e *Expect) reading() reading {
	return reading{e.ScopeClaim, e.ClientClaim, strings.Join(slices.Sorted(slices.Values(e.AllowMissing)), " "), e.takesNoAudience()}
}
