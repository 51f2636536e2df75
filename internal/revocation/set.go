package revocation

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Set is an immutable set of entries, which is read without a lock. A nil Set is empty. A lookup takes constant time: it
// reads two maps for a token and two for a client.
type Set struct {
	old, young layer
}

// layer is a part of a Set. Each addition copies the young layer, which is merged into the old one when it has grown, so
// that many additions do not each copy the whole set.
type layer struct {
	tokens  map[string]single // by jti
	clients map[string]client // by client_id
}

// single is the revocation of one token. The owner is the client that was issued it, "" if that is not known. Times are in
// seconds since 1970.
type single struct {
	expires, issued int64
	owner           string
}

// client is the revocation of a client's tokens. Times are in seconds since 1970.
type client struct{ before, expires int64 }

// maxYoung is how many entries a young layer has before it is merged into the old one.
const maxYoung = 1024

// Revoked reports whether a token is revoked.
func (s *Set) Revoked(id, clientID string, issued time.Time) bool {
	return s != nil && (s.young.revoked(id, clientID, issued) || s.old.revoked(id, clientID, issued))
}

func (l *layer) revoked(id, clientID string, issued time.Time) bool {
	if _, ok := l.tokens[id]; ok {
		return true
	}
	c, ok := l.clients[clientID]
	return ok && issued.Unix() <= c.before
}

func (s *Set) empty() bool { return s == nil || s.old.len()+s.young.len() == 0 }

// Len returns the number of entries.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	n := s.old.len() + s.young.len()
	for id := range s.young.tokens { // an entry of both layers counts once
		if _, both := s.old.tokens[id]; both {
			n--
		}
	}
	for id := range s.young.clients {
		if _, both := s.old.clients[id]; both {
			n--
		}
	}
	return n
}

func (l *layer) len() int { return len(l.tokens) + len(l.clients) }

// with returns the set with further entries, except those that are over or redundant, and without what they make redundant.
func (s *Set) with(entries []Entry, now time.Time) *Set {
	next := new(Set)
	if s != nil {
		next.old, next.young = s.old, s.young.clone()
	}
	next.young.init()
	clients := make(map[string]bool)
	for _, e := range entries {
		if over(e.Expires.Unix(), now) || next.old.says(e) || next.redundant(e) {
			continue
		}
		next.young.add(e)
		if e.ClientID != "" {
			clients[e.ClientID] = true
		}
	}
	if next.young.len() > maxYoung || next.hasTokensOf(clients) {
		return &Set{old: next.joined()}
	}
	return next
}

// without returns the set without the entries that are over.
func (s *Set) without(now time.Time) *Set {
	if s == nil {
		return new(Set)
	}
	all := s.joined()
	maps.DeleteFunc(all.tokens, func(_ string, t single) bool { return over(t.expires, now) })
	maps.DeleteFunc(all.clients, func(_ string, c client) bool { return over(c.expires, now) })
	return &Set{old: all}
}

// joined returns a copy of both layers as one, without tokens that are redundant.
func (s *Set) joined() layer {
	all := s.old.clone()
	all.init()
	for id, t := range s.young.tokens {
		all.addToken(id, t)
	}
	for id, c := range s.young.clients {
		all.addClient(id, c)
	}
	if len(all.clients) > 0 {
		maps.DeleteFunc(all.tokens, func(_ string, t single) bool { return t.owner != "" && all.clients[t.owner].covers(t) })
	}
	return all
}

// knows reports whether the set has an entry that revokes at least as much as e.
func (s *Set) knows(e Entry) bool { return s != nil && (s.young.says(e) || s.old.says(e)) }

func (l *layer) says(e Entry) bool {
	if e.ID != "" {
		t, ok := l.tokens[e.ID]
		return ok && t.expires >= e.Expires.Unix() && (t.owner != "" || e.Owner == "")
	}
	c, ok := l.clients[e.ClientID]
	return ok && c.before >= e.Before.Unix() && c.expires >= e.Expires.Unix()
}

func (l *layer) init() {
	if l.tokens == nil {
		l.tokens, l.clients = make(map[string]single), make(map[string]client)
	}
}

func (l *layer) clone() layer { return layer{maps.Clone(l.tokens), maps.Clone(l.clients)} }

// add adds an entry. Of two entries with the same name the later one stays.
func (l *layer) add(e Entry) {
	if e.ID != "" {
		l.addToken(e.ID, e.single())
		return
	}
	l.addClient(e.ClientID, client{e.Before.Unix(), e.Expires.Unix()})
}

func (l *layer) addToken(id string, t single) {
	former := l.tokens[id]
	if t.owner == "" {
		t.owner, t.issued = former.owner, former.issued
	}
	t.expires = max(t.expires, former.expires)
	l.tokens[id] = t
}

func (l *layer) addClient(id string, c client) {
	former := l.clients[id]
	l.clients[id] = client{max(former.before, c.before), max(former.expires, c.expires)}
}

// drop removes what e revokes.
func (l *layer) drop(e Entry) {
	if e.ID != "" {
		if l.tokens[e.ID].expires <= e.Expires.Unix() {
			delete(l.tokens, e.ID)
		}
		return
	}
	if c := l.clients[e.ClientID]; c.before <= e.Before.Unix() && c.expires <= e.Expires.Unix() {
		delete(l.clients, e.ClientID)
	}
}

func (e Entry) single() single {
	if e.Owner == "" {
		return single{expires: e.Expires.Unix()}
	}
	return single{e.Expires.Unix(), e.Issued.Unix(), e.Owner}
}

func (t single) entry(id string) Entry {
	expires := time.Unix(t.expires, 0)
	if t.owner == "" {
		return OfToken(id, expires)
	}
	return OfClientToken(id, t.owner, time.Unix(t.issued, 0), expires)
}

func (c client) entry(id string) Entry {
	return Entry{ClientID: id, Before: time.Unix(c.before, 0).UTC(), Expires: time.Unix(c.expires, 0).UTC()}
}

// All returns the entries that are not over, in no particular order.
func (s *Set) All(now time.Time) []Entry {
	all := s.without(now)
	entries := make([]Entry, 0, all.old.len())
	for id, c := range all.old.clients {
		entries = append(entries, c.entry(id))
	}
	for id, t := range all.old.tokens {
		entries = append(entries, t.entry(id))
	}
	return entries
}

// Entries returns at most limit entries that are not over: those of clients, then those of tokens, each sorted by name.
// It starts behind the entry after, unless that is zero.
func (s *Set) Entries(now time.Time, after Entry, limit int) []Entry {
	entries := slices.DeleteFunc(s.All(now), func(e Entry) bool { return after != Entry{} && compare(e, after) <= 0 })
	slices.SortFunc(entries, compare)
	return entries[:min(limit, len(entries))]
}

func compare(a, b Entry) int {
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.ClientID, b.ClientID))
}
