package revocation

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Copy holds the revocations of an issuer in a process that does not share the issuer's storage. It is built from the
// issuer's feed. Only entries whose tokens have expired, and redundant ones, are removed, so that no feed can undo what an
// earlier one said.
// Revoked keys stay forever: an attacker who has the key can sign tokens that expire at any time, and a door that cannot
// fetch newer keys still has this one. A Copy is safe for concurrent use.
type Copy struct {
	state atomic.Pointer[copied]
	mu    sync.Mutex // held by Take
	swept time.Time
	now   func() time.Time
}

// copied is an immutable state of a Copy.
type copied struct {
	set  *Set            // of digests
	keys map[string]bool // the kids of revoked keys
	asOf time.Time
}

// NewCopy returns an empty copy.
func NewCopy() *Copy {
	c := &Copy{now: time.Now}
	c.state.Store(new(copied))
	return c
}

// Take adds the revocations of a feed. It fails, and changes nothing, if the feed does not reach back to since, up to
// which the copy is complete, or if the copy would grow beyond its bounds.
func (c *Copy) Take(f *Feed, since time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	former, now := c.state.Load(), c.now()
	if f.Since > max(since.Unix(), 0) { // the zero time lies before 1970
		return errors.New("it does not go back as far as was asked")
	}
	next := &copied{set: former.set.with(f.entries(), now), keys: maps.Clone(former.keys), asOf: former.asOf}
	if now.Sub(c.swept) >= sweepInterval || next.set.Len() > maxCopied { // expired entries make room
		c.swept, next.set = now, next.set.without(now)
	}
	if next.set.Len() > maxCopied {
		return fmt.Errorf("these are more than %d revocations", maxCopied)
	}
	if next.keys == nil {
		next.keys = make(map[string]bool)
	}
	for kid := range f.Keys {
		next.keys[kid] = true
	}
	if len(next.keys) > maxCopiedKeys {
		return fmt.Errorf("these are more than %d revoked keys", maxCopiedKeys)
	}
	if asOf := time.Unix(f.AsOf, 0); asOf.After(next.asOf) {
		next.asOf = asOf
	}
	c.state.Store(next)
	return nil
}

// Revoked reports whether a token is known to be revoked.
func (c *Copy) Revoked(id, clientID string, issued time.Time) bool {
	set := c.state.Load().set
	return !set.empty() && set.Revoked(digest(id), digest(clientID), issued)
}

// KeyRevoked reports whether the key with this kid is known to be revoked.
func (c *Copy) KeyRevoked(kid string) bool { return c.state.Load().keys[kid] }

// AsOf returns the moment up to which the copy is complete, or the zero time if it is not complete yet.
func (c *Copy) AsOf() time.Time { return c.state.Load().asOf }

// Len returns the number of revoked tokens and clients.
func (c *Copy) Len() int { return c.state.Load().set.Len() }
