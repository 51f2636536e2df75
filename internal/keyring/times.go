package keyring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Times decide in which state a key is, together with the key's own times.
type Times struct {
	Period time.Duration // between two keys; 0 if only a command makes keys
	TTL    time.Duration // the longest lifetime of a token
	MaxAge time.Duration // how long caches may keep the published keys
	Poll   time.Duration // how often storage is read
	Leeway time.Duration // how far clocks may differ
}

// lead returns how long a key is published before it signs: until then every cache has been refreshed, and every node
// has read the key.
func (t Times) lead() time.Duration { return t.MaxAge + t.Poll + t.Leeway }

// retention returns how long a key stays published after it no longer signs: until its last token has expired, even if
// that was signed when tokens lived longer.
func (t Times) retention(key *storedKey) time.Duration { return max(t.TTL, key.ttl) + t.Leeway }

// MinPeriod returns the shortest period with which at most three keys are published.
func (t Times) MinPeriod() time.Duration { return t.lead() + t.TTL + t.Leeway }

// State is where a key is in its life.
type State string

// The states of a key.
const (
	Next    State = "next"    // published, but does not sign yet
	Active  State = "active"  // signs
	Retired State = "retired" // published for the tokens that it signed
	Revoked State = "revoked" // neither published nor accepted
)

// storedKey is a key as it is in storage.
type storedKey struct {
	*token.SigningKey // nil if only the key's revocation is known
	created           time.Time
	signsFrom         time.Time
	ttl               time.Duration // the longest lifetime of a token that the key signed
	revoked           *revocation
	sealedBy          int    // the index of its encryption key in the Seal, or unsealed
	object            []byte // as it was read
	kid               string // set if there is no SigningKey
}

// revocation says when and why a key was revoked.
type revocation struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// ID returns the kid.
func (k *storedKey) ID() string {
	if k.SigningKey == nil {
		return k.kid
	}
	return k.SigningKey.ID()
}

// Alg returns the algorithm, or "" if it is not known.
func (k *storedKey) Alg() token.Alg {
	if k.SigningKey == nil {
		return ""
	}
	return k.SigningKey.Alg()
}

// withRevocation returns a key that was read before, with a revocation that was read since. Both may be nil.
func (k *storedKey) withRevocation(revoked *revocation) *storedKey {
	if k == nil || revoked == nil || k.revoked != nil {
		return k
	}
	changed := *k
	changed.revoked = revoked
	return &changed
}

// sortKeys sorts keys by the order in which they sign.
func sortKeys(keys []*storedKey) {
	slices.SortFunc(keys, func(a, b *storedKey) int {
		return cmp.Or(a.signsFrom.Compare(b.signsFrom), a.created.Compare(b.created), cmp.Compare(a.ID(), b.ID()))
	})
}

// signerAt returns the key that signs: the last of the algorithm whose time has come. Until the first key of a new
// algorithm signs, a key of the former algorithm does. If no key's time has come, the clock is behind that of the node
// that made the first key, and that key signs.
func signerAt(sorted []*storedKey, alg token.Alg, now time.Time) *storedKey {
	var own, former, first *storedKey
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

// onSchedule reports whether a key signs, and no other was due to sign in its place by now.
func (t Times) onSchedule(key *storedKey, now time.Time) bool {
	return key != nil && !key.signsFrom.After(now) && (t.Period == 0 || now.Before(key.signsFrom.Add(t.Period)))
}

// check finds keys that sign so late that a node with a wrong clock must have made them. They delay the next rotation.
func (t Times) check(sorted []*storedKey, now time.Time) error {
	var all []error
	for _, key := range sorted {
		if key.revoked == nil && key.signsFrom.After(now.Add(t.Period+t.lead()+t.Leeway)) {
			all = append(all, fmt.Errorf("key %s signs only from %s: a clock is wrong, or was where it was made", key.ID(), key.signsFrom.UTC().Format(time.RFC3339)))
		}
	}
	return errors.Join(all...)
}

func stateAt(sorted []*storedKey, key *storedKey, alg token.Alg, now time.Time) State {
	switch {
	case key.revoked != nil:
		return Revoked
	case key == signerAt(sorted, alg, now):
		return Active
	case key.Alg() == alg && key.signsFrom.After(now):
		return Next
	}
	return Retired
}

// end returns when a key is no longer published and its object is deleted. It is zero while that is not known.
func (t Times) end(sorted []*storedKey, key *storedKey, alg token.Alg, now time.Time) time.Time {
	if key.revoked != nil {
		return key.revoked.At.Add(t.retention(key))
	}
	after := false
	for _, other := range sorted {
		if after && other.revoked == nil && other.Alg() == key.Alg() {
			return other.signsFrom.Add(t.retention(key))
		}
		after = after || other == key
	}
	signer := signerAt(sorted, alg, now)
	if key.Alg() == alg || t.Period == 0 || signer == nil || signer == key {
		return time.Time{}
	}
	// The last key of a former algorithm. A node still configured with that algorithm would have made another key
	// within the period.
	end := key.signsFrom.Add(t.Period)
	if signer.signsFrom.After(end) {
		end = signer.signsFrom
	}
	return end.Add(t.retention(key))
}

// plan is what is due.
type plan struct {
	create    bool
	signsFrom time.Time    // of the key to create
	drop      []*storedKey // to delete
	extend    *storedKey   // whose tokens now live longer, or nil
}

func (p plan) due() bool { return p.create || len(p.drop) > 0 || p.extend != nil }

// plan returns what is due now. Once one node has done it, the other nodes find nothing to do: the key that was made is
// the newest, and the next is due a period later.
func (t Times) plan(sorted []*storedKey, alg token.Alg, now time.Time) plan {
	var plan plan
	var newest *storedKey
	signer := signerAt(sorted, alg, now)
	if signer != nil && signer.ttl < t.TTL {
		plan.extend = signer
	}
	for _, key := range sorted {
		if key.revoked == nil && key.Alg() == alg {
			newest = key
		}
		if end := t.end(sorted, key, alg, now); !end.IsZero() && now.After(end) {
			plan.drop = append(plan.drop, key)
		}
	}
	switch {
	case newest == nil && signer == nil:
		plan.create, plan.signsFrom = true, now
	case newest == nil: // the algorithm has changed
		plan.create, plan.signsFrom = true, now.Add(t.lead())
	case t.Period > 0 && !now.Before(newest.signsFrom.Add(t.Period-t.lead())):
		plan.create, plan.signsFrom = true, newest.signsFrom.Add(t.Period)
		if soonest := now.Add(t.lead()); plan.signsFrom.Before(soonest) { // it is late
			plan.signsFrom = soonest
		}
	}
	return plan
}
