package token

import (
	"cmp"
	"container/list"
	"sync"
)

const (
	// A client may push out the tokens of others until it holds 1/clientShare of the memory. Beyond that it uses free
	// room or replaces its own tokens.
	clientShare = 8
	// One token may take 1/largestShare of the memory.
	largestShare = 128
)

// memory holds the most recently used verified tokens, bounded in tokens and in bytes.
//
// A client with a valid secret can get any number of tokens. With them it can push the tokens of others out of an eighth of
// the memory. Several clients together can push out more, which costs the others a signature check for each request.
type memory struct {
	tokens, bytes int // the bounds

	mu      sync.Mutex // not held during a signature check
	known   map[tokenID]*remembered
	recent  list.List // of *remembered, the most recently used first
	size    int
	holders map[holder]*holding
}

// remembered is one token. Only its list elements change.
type remembered struct {
	passed
	claims *Claims

	size   int
	holder holder
	all    *list.Element // in memory.recent
	own    *list.Element // in holding.recent
}

// holder is a client of an issuer.
type holder struct {
	issuer *Expect
	client string
}

// holding lists the tokens of a holder.
type holding struct {
	recent list.List // of *remembered, as in memory
	size   int
}

func newMemory(tokens, bytes int) *memory {
	return &memory{tokens: tokens, bytes: bytes, known: make(map[tokenID]*remembered), holders: make(map[holder]*holding)}
}

// get returns a token and marks it as used, or returns nil if it is not in memory.
func (m *memory) get(id tokenID) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.known[id]
	if r != nil {
		m.recent.MoveToFront(r.all)
		m.holders[r.holder].recent.MoveToFront(r.own)
	}
	return r
}

// add adds a token, unless it is too large.
func (m *memory) add(r *remembered) {
	r.size = rememberedSize + r.claims.heapSize()
	r.holder = holder{r.expect, cmp.Or(r.claims.ClientID, r.claims.Subject)}
	if r.size > m.bytes/largestShare {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[r.id] != nil { // another request with the same token was faster
		return
	}
	own := m.holders[r.holder]
	if own == nil {
		own = new(holding)
	}
	for len(m.known) >= m.tokens || m.size+r.size > m.bytes {
		m.remove(m.last(own, r.size))
	}
	m.holders[r.holder] = own // it was deleted if its last token was removed
	r.all, r.own = m.recent.PushFront(r), own.recent.PushFront(r)
	m.known[r.id] = r
	m.size += r.size
	own.size += r.size
}

// last returns the token to remove when a holder needs room for another of this size.
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
	m.recent.Remove(r.all)
	m.size -= r.size
	own := m.holders[r.holder]
	own.recent.Remove(r.own)
	if own.size -= r.size; own.recent.Len() == 0 {
		delete(m.holders, r.holder)
	}
}
