package dpop

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// nonceLifetime is how long a nonce is accepted. A client gets the next one after half of it, so that clients which send
// requests more often are not refused.
const nonceLifetime = 5 * time.Minute

const (
	nonceTime = 8  // bytes
	nonceMAC  = 16 // bytes
)

// Nonces makes and recognizes the nonces of a server (RFC 9449 §8). A nonce is the time at which it was made, with a MAC, so
// nothing is kept. Servers with the same key and label accept each other's nonces. It is safe for concurrent use.
type Nonces struct {
	label string
	key   atomic.Pointer[[]byte]
}

// NewNonces returns nonces under a key that this process alone has. The label, such as the URL of the server, separates
// servers with the same key.
func NewNonces(label string) *Nonces {
	n := &Nonces{label: label}
	n.SetKey(ownKey())
	return n
}

// ownKey returns a key of this process, so that its nonces outlive a reload of the config.
var ownKey = sync.OnceValue(newKey)

func newKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return key
}

// SetKey makes the nonces those of a key, such as SharedKey.
func (n *Nonces) SetKey(key []byte) {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("dpop nonce\x00" + n.label))
	derived := mac.Sum(nil)
	n.key.Store(&derived)
}

// next returns a nonce.
func (n *Nonces) next(now time.Time) string {
	var room [nonceTime + sha256.Size]byte
	at := binary.BigEndian.AppendUint64(room[:0], uint64(now.Unix()))
	return base64.RawURLEncoding.EncodeToString(n.sign(at)[:nonceTime+nonceMAC])
}

// sign appends the MAC to a time.
func (n *Nonces) sign(at []byte) []byte {
	mac := hmac.New(sha256.New, *n.key.Load())
	mac.Write(at)
	return mac.Sum(at)
}

// made returns when a nonce was made, and whether it is accepted now.
func (n *Nonces) made(nonce string, now time.Time) (time.Time, bool) {
	given, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(given) != nonceTime+nonceMAC || len(nonce) != base64.RawURLEncoding.EncodedLen(len(given)) {
		return time.Time{}, false
	}
	want := n.sign(given[:nonceTime:nonceTime])[:nonceTime+nonceMAC]
	if !hmac.Equal(given, want) {
		return time.Time{}, false
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(given)), 0)
	// A node of a cluster may have made it whose clock is a little ahead.
	return made, now.Before(made.Add(nonceLifetime)) && !now.Add(Leeway).Before(made)
}
