package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// keyTimes are the times by which keys live. What state a key is in follows from them and from the key's own
// times alone, so that all nodes see the same without having to agree.
type keyTimes struct {
	period time.Duration // between two keys; 0 is that only a command makes another
	ttl    time.Duration // the longest that a token is valid
	maxAge time.Duration // how long others may keep the published keys
	poll   time.Duration // how often storage is looked at
	leeway time.Duration // how far clocks may be apart
}

// lead is how long a key is published before it signs: by then whoever has the keys in a cache has asked again,
// and every node has seen it.
func (t keyTimes) lead() time.Duration { return t.maxAge + t.poll + t.leeway }

// keep is how long a key that no longer signs stays published: until the last of its tokens has expired, also of those
// that were made when they were valid for longer than now.
func (t keyTimes) keep(key *issuerKey) time.Duration { return max(t.ttl, key.ttl) + t.leeway }

// leastPeriod is the shortest in which a key has gone before the next but one comes.
func (t keyTimes) leastPeriod() time.Duration { return t.lead() + t.ttl + t.leeway }

// keyState is where a key stands in its life.
type keyState string

const (
	keyNext    keyState = "next"    // published, and does not sign yet
	keyActive  keyState = "active"  // signs
	keyRetired keyState = "retired" // published for the tokens that it has signed
	keyRevoked keyState = "revoked" // neither published nor taken
)

// issuerKey is one of an issuer's keys, as storage has it.
type issuerKey struct {
	*token.SigningKey
	created   time.Time
	signsFrom time.Time
	ttl       time.Duration // the longest that a token of it is valid
	revoked   *keyRevocation
	sealedBy  int    // which of the encryption keys it is stored under; -1 is none
	object    []byte // as it was read
	lost      string // its kid, where it is known alone that the key was given up, and there is no SigningKey
}

// ID is the kid.
func (k *issuerKey) ID() string {
	if k.SigningKey == nil {
		return k.lost
	}
	return k.SigningKey.ID()
}

// Alg is the algorithm; "" is that it is not known.
func (k *issuerKey) Alg() token.Alg {
	if k.SigningKey == nil {
		return ""
	}
	return k.SigningKey.Alg()
}

// private is the private key as it is stored; nil is none.
func (k *issuerKey) private() ([]byte, error) {
	if k.SigningKey == nil {
		return nil, nil
	}
	return k.MarshalPrivate()
}

// orGivenUp is what is known of a key whose object cannot be read any more; nil is nothing.
func (k *issuerKey) orGivenUp(givenUp *keyRevocation) *issuerKey {
	if k == nil || givenUp == nil || k.revoked != nil {
		return k
	}
	revoked := *k
	revoked.revoked = givenUp
	return &revoked
}

// keyRevocation says when a key was given up before its time, and why.
type keyRevocation struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// sortKeys puts keys in the order in which they sign.
func sortKeys(keys []*issuerKey) {
	slices.SortFunc(keys, func(a, b *issuerKey) int {
		return cmp.Or(a.signsFrom.Compare(b.signsFrom), a.created.Compare(b.created), cmp.Compare(a.ID(), b.ID()))
	})
}

// signerAt is the key that signs: of those of the algorithm the last that has begun. Until the first of a new
// algorithm has, that of the former one goes on. Where none has begun, a clock is behind that of the node which made
// the first, and that one signs.
func signerAt(sorted []*issuerKey, alg token.Alg, now time.Time) *issuerKey {
	var own, former, first *issuerKey
	for _, key := range sorted {
		switch begun := !key.signsFrom.After(now); {
		case key.revoked != nil:
		case begun && key.Alg() == alg:
			own = key
		case begun:
			former = key
		case first == nil && key.Alg() == alg:
			first = key
		}
	}
	return cmp.Or(own, former, first)
}

// inTime reports whether a key signs, and no other was to sign in its place by now.
func (t keyTimes) inTime(key *issuerKey, now time.Time) bool {
	return key != nil && !key.signsFrom.After(now) && (t.period == 0 || now.Before(key.signsFrom.Add(t.period)))
}

// check finds a key that no clock like this one has made. It is in the way of those that are due.
func (t keyTimes) check(sorted []*issuerKey, now time.Time) error {
	var all []error
	for _, key := range sorted {
		if key.revoked == nil && key.signsFrom.After(now.Add(t.period+t.lead()+t.leeway)) {
			all = append(all, fmt.Errorf("key %s signs only from %s: a clock is wrong, or was where it was made", key.ID(), key.signsFrom.UTC().Format(time.RFC3339)))
		}
	}
	return errors.Join(all...)
}

func stateAt(sorted []*issuerKey, key *issuerKey, alg token.Alg, now time.Time) keyState {
	switch {
	case key.revoked != nil:
		return keyRevoked
	case key == signerAt(sorted, alg, now):
		return keyActive
	case key.Alg() == alg && key.signsFrom.After(now):
		return keyNext
	}
	return keyRetired
}

// until is when a key has served its time: it then is no longer published, and its object is deleted. It is zero
// where that is not known yet.
func (t keyTimes) until(sorted []*issuerKey, key *issuerKey, alg token.Alg, now time.Time) time.Time {
	if key.revoked != nil {
		return key.revoked.At.Add(t.keep(key))
	}
	after := false
	for _, other := range sorted {
		if after && other.revoked == nil && other.Alg() == key.Alg() {
			return other.signsFrom.Add(t.keep(key))
		}
		after = after || other == key
	}
	signer := signerAt(sorted, alg, now)
	if key.Alg() == alg || t.period == 0 || signer == nil || signer == key {
		return time.Time{}
	}
	// The last of a former algorithm. A node whose config still has that would have made another within the period.
	end := key.signsFrom.Add(t.period)
	if signer.signsFrom.After(end) {
		end = signer.signsFrom
	}
	return end.Add(t.keep(key))
}

// keyPlan is what is to be done about the keys.
type keyPlan struct {
	make      bool
	signsFrom time.Time // of the key to make
	drop      []*issuerKey
	lengthen  *issuerKey // whose tokens are valid for longer than before; nil is none
}

func (p keyPlan) due() bool { return p.make || len(p.drop) > 0 || p.lengthen != nil }

// plan decides what is to be done now. Whoever does it first, the others then find nothing to do: the key that was
// made is the newest, and the next is due a period later.
func (t keyTimes) plan(sorted []*issuerKey, alg token.Alg, now time.Time) keyPlan {
	var plan keyPlan
	var newest *issuerKey
	signer := signerAt(sorted, alg, now)
	if signer != nil && signer.ttl < t.ttl {
		plan.lengthen = signer
	}
	for _, key := range sorted {
		if key.revoked == nil && key.Alg() == alg {
			newest = key
		}
		if end := t.until(sorted, key, alg, now); !end.IsZero() && now.After(end) {
			plan.drop = append(plan.drop, key)
		}
	}
	switch {
	case newest == nil && signer == nil:
		plan.make, plan.signsFrom = true, now
	case newest == nil: // the algorithm is another now
		plan.make, plan.signsFrom = true, now.Add(t.lead())
	case t.period > 0 && !now.Before(newest.signsFrom.Add(t.period-t.lead())):
		plan.make, plan.signsFrom = true, newest.signsFrom.Add(t.period)
		if soonest := now.Add(t.lead()); plan.signsFrom.Before(soonest) { // it is late
			plan.signsFrom = soonest
		}
	}
	return plan
}
