package revocation

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Copy is an issuer's revocations in a process that has no part in its storage, as the issuer's feed tells them. It
// only grows, but for tokens and clients that are over, so that no feed can take back what another has said. A key is
// given up for good: who has it signs tokens that expire when they like, and a door that gets no newer keys of the
// issuer goes on having this one. It is safe for concurrent use.
type Copy struct {
	state  atomic.Pointer[copied]
	taking sync.Mutex
	swept  time.Time
	now    func() time.Time
}

// copied does not change.
type copied struct {
	set  *Set            // its names are digests
	keys map[string]bool // that were given up
	asOf time.Time
}

// NewCopy is a copy of nothing yet.
func NewCopy() *Copy {
	c := &Copy{now: time.Now}
	c.state.Store(new(copied))
	return c
}

// Take adds what a feed says. It fails when the feed does not go back to since, the moment as of which the copy is
// whole, or when it is more than a door can keep; then nothing has changed.
func (c *Copy) Take(f *Feed, since time.Time) error {
	c.taking.Lock()
	defer c.taking.Unlock()
	former, now := c.state.Load(), c.now()
	if f.Since > max(since.Unix(), 0) { // the zero time is long before 1970
		return errors.New("it does not go back as far as was asked")
	}
	next := &copied{set: former.set.with(f.entries(), now), keys: maps.Clone(former.keys), asOf: former.asOf}
	if now.Sub(c.swept) >= sweepInterval || next.set.Len() > maxCopied { // what is over leaves room
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
		return fmt.Errorf("these are more than %d keys that were given up", maxCopiedKeys)
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

// KeyRevoked reports whether a key is known to be given up, by its kid.
func (c *Copy) KeyRevoked(kid string) bool { return c.state.Load().keys[kid] }

// AsOf is the moment as of which the copy is whole; the zero time before it is.
func (c *Copy) AsOf() time.Time { return c.state.Load().asOf }

// Len is how many revocations of tokens and of clients there are.
func (c *Copy) Len() int { return c.state.Load().set.Len() }
