// Package once remembers identifiers that may be used once, such as the jti of an assertion, until they have expired. New makes
// a Memory, and Memory.Use is its entry point. The package imports no other package of this module.
//
// A memory is that of one process. It has a fixed number of places, and each owner a share of them, so that an owner that
// uses many identifiers leaves half of the places to others. It never forgets an identifier before its time: without a free place it
// refuses the next one.
package once

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	// share bounds what an owner can take: 1/share of the places, and more of them while at least half are free.
	share = 8
	// parts of the memory have a lock each, so that requests seldom meet.
	parts = 16
	// step is how exactly times are kept. An identifier is remembered for up to two steps longer.
	step = time.Second
)

// Result is what Use found.
type Result int

// The results. Only Fresh allows the use.
const (
	// Fresh means that the identifier was not used before.
	Fresh Result = iota
	// Used means that it was.
	Used
	// OwnerFull means that the owner has used all places that it may have at the moment.
	OwnerFull
	// Full means that all places are used.
	Full
)

// Memory remembers identifiers. It is safe for concurrent use.
type Memory struct {
	parts [parts]part
}

// part holds the identifiers whose hash begins with its number.
type part struct {
	mu     sync.Mutex
	places int
	known  map[hash]bool
	owners map[string]*owner
	// expiring are the identifiers by the step in which they expire. Those of the steps before horizon are forgotten.
	expiring map[int64][]entry
	horizon  int64
}

// hash is the beginning of a SHA-256. 128 bits are enough, because a collision that an owner finds only refuses its own use.
type hash [16]byte

type owner struct {
	name string
	used int
}

type entry struct {
	hash  hash
	owner *owner
}

// New returns a memory for a number of identifiers, at least a few hundred. A place takes about 100 bytes once it is used.
func New(places int) *Memory {
	m := new(Memory)
	for i := range m.parts {
		m.parts[i] = part{places: places / parts, known: make(map[hash]bool), owners: make(map[string]*owner), expiring: make(map[int64][]entry)}
	}
	return m
}

// Use notes the use of an identifier in a namespace, unless it was used before and had not expired at now. The identifier is
// remembered until its time of expiry, which must be when it would no longer be accepted. The owner is who pays for the place,
// such as a client. Of several concurrent callers with one identifier, one gets Fresh.
func (m *Memory) Use(namespace, ownerName, id string, until, now time.Time) Result {
	h, at := hashOf(namespace, id), stepOf(until)+1
	p := &m.parts[int(h[0])%parts]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(stepOf(now))
	if p.known[h] || at < p.horizon { // it may have been forgotten, because the clock was set back
		return Used
	}
	own := p.owners[ownerName]
	switch {
	case own != nil && own.used >= max(1, p.places/share) && len(p.known) >= p.places/2:
		return OwnerFull
	case len(p.known) >= p.places:
		return Full
	}
	if own == nil {
		own = &owner{name: ownerName}
		p.owners[ownerName] = own
	}
	own.used++
	p.known[h] = true
	p.expiring[at] = append(p.expiring[at], entry{h, own})
	return Fresh
}

// expire forgets the identifiers of the steps before now.
func (p *part) expire(now int64) {
	if now <= p.horizon {
		return
	}
	if now-p.horizon <= int64(len(p.expiring)) {
		for at := p.horizon; at < now; at++ {
			p.forget(at)
		}
	} else { // after a long pause there are fewer steps with identifiers than steps
		for at := range p.expiring {
			if at < now {
				p.forget(at)
			}
		}
	}
	p.horizon = now
}

func (p *part) forget(at int64) {
	for _, e := range p.expiring[at] {
		delete(p.known, e.hash)
		if e.owner.used--; e.owner.used == 0 {
			delete(p.owners, e.owner.name)
		}
	}
	delete(p.expiring, at)
}

func stepOf(t time.Time) int64 { return t.Unix() / int64(step/time.Second) }

// hashOf returns the hash of an identifier in a namespace. The length keeps apart pairs whose texts join to the same.
func hashOf(namespace, id string) (h hash) {
	text := make([]byte, 0, 256)
	text = binary.AppendUvarint(text, uint64(len(namespace)))
	text = append(append(text, namespace...), id...)
	sum := sha256.Sum256(text)
	copy(h[:], sum[:])
	return h
}

// Len returns how many identifiers are remembered, with those that expired a moment ago.
func (m *Memory) Len() int {
	n := 0
	for i := range m.parts {
		m.parts[i].mu.Lock()
		n += len(m.parts[i].known)
		m.parts[i].mu.Unlock()
	}
	return n
}
