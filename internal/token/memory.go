package token

import (
	"cmp"
	"container/list"
	"sync"
)

const (
	// A client may push out the tokens of others until it holds 1/clientShare of the memory. Beyond that it
	// can use free room, and its own tokens go first.
	clientShare = 8
	// One token may take 1/largestShare of the memory.
	largestShare = 128
)

// memory holds verified tokens, the most recently used ones, within a number of tokens and of bytes.
//
// A client with a valid secret can get any number of tokens. It can push the tokens of others out of an
// eighth of the memory, and then only its own. Several clients together can push out more. That costs the
// others a check of a signature for each request, and the memory stays within its bounds.
type memory struct {
	tokens, bytes int // the bounds

	mu      sync.Mutex // never held across a signature
	known   map[tokenID]*remembered
	recent  list.List // of *remembered; the one that was used last comes first
	size    int
	holders map[holder]*holding
}

// remembered is one token. Everything but its places is constant.
type remembered struct {
	passed
	claims *Claims

	size     int
	of       holder
	place    *list.Element // in memory.recent
	ownPlace *list.Element // in holding.recent
}

// holder is a client of an issuer.
type holder struct {
	issuer *Expect
	client string
}

// holding is what a holder has in memory.
type holding struct {
	recent list.List // of *remembered, as in memory
	size   int
}

func newMemory(tokens, bytes int) *memory {
	return &memory{tokens: tokens, bytes: bytes, known: make(map[tokenID]*remembered), holders: make(map[holder]*holding)}
}

// get returns a token and notes that it was used, or nil if it is not in memory.
func (m *memory) get(id tokenID) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.known[id]
	if r != nil {
		m.recent.MoveToFront(r.place)
		m.holders[r.of].recent.MoveToFront(r.ownPlace)
	}
	return r
}

// add keeps a token, unless it is too large.
func (m *memory) add(r *remembered) {
	r.size = rememberedSize + r.claims.heapSize()
	r.of = holder{r.expect, cmp.Or(r.claims.ClientID, r.claims.Subject)}
	if r.size > m.bytes/largestShare {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[r.id] != nil { // another request with the same token was faster
		return
	}
	own := m.holders[r.of]
	if own == nil {
		own = new(holding)
	}
	for len(m.known) >= m.tokens || m.size+r.size > m.bytes {
		m.remove(m.last(own, r.size))
	}
	m.holders[r.of] = own // also when its last token has just gone
	r.place, r.ownPlace = m.recent.PushFront(r), own.recent.PushFront(r)
	m.known[r.id] = r
	m.size += r.size
	own.size += r.size
}

// last returns the token to remove when a holder needs so much room.
func (m *memory) last(own *holding, size int) *remembered {
	from := &m.recent
	if n := own.recent.Len(); n > 0 && (n >= m.tokens/clientShare || own.size+size > m.bytes/clientShare) {
		from = &own.recent
	}
	return from.Back().Value.(*remembered)
}

func (m *memory) forget(id tokenID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.known[id]; r != nil {
		m.remove(r)
	}
}

func (m *memory) remove(r *remembered) {
	delete(m.known, r.id)
	m.recent.Remove(r.place)
	m.size -= r.size
	own := m.holders[r.of]
	own.recent.Remove(r.ownPlace)
	if own.size -= r.size; own.recent.Len() == 0 {
		delete(m.holders, r.of)
	}
}
