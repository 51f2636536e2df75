package revocation

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Set is what is revoked. It does not change, so that it can be looked at without a lock; a nil Set is
// empty. To look costs the same however much is in it: two maps for a token and two for a client.
type Set struct {
	old, young layer
}

// layer is a part of a Set. The young one is copied for every addition and joins the old one when it
// has grown, so that a flood does not copy all that is known for every entry of it.
type layer struct {
	tokens  map[string]int64  // when they expire, by jti
	clients map[string]client // by client_id
}

// client is what is revoked of one: times are in seconds since 1970.
type client struct{ before, expires int64 }

// maxYoung is how many entries a young layer has before it joins the old one.
const maxYoung = 1024

// Revoked reports whether a token may no longer be used.
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

// Len is how many entries there are.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	n := s.old.len() + s.young.len()
	for id := range s.young.tokens { // which says more of what the old layer has, too
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

// with is the set and further entries, without those that are over.
func (s *Set) with(entries []Entry, now time.Time) *Set {
	next := new(Set)
	if s != nil {
		next.old, next.young = s.old, s.young.clone()
	}
	next.young.init()
	for _, e := range entries {
		if !over(e.Expires.Unix(), now) && !next.old.says(e) {
			next.young.add(e)
		}
	}
	if next.young.len() > maxYoung {
		return &Set{old: next.joined()}
	}
	return next
}

// without is the set without what is over.
func (s *Set) without(now time.Time) *Set {
	if s == nil {
		return new(Set)
	}
	all := s.joined()
	maps.DeleteFunc(all.tokens, func(_ string, expires int64) bool { return over(expires, now) })
	maps.DeleteFunc(all.clients, func(_ string, c client) bool { return over(c.expires, now) })
	return &Set{old: all}
}

// joined is a copy of both layers in one.
func (s *Set) joined() layer {
	all := s.old.clone()
	all.init()
	for id, expires := range s.young.tokens {
		all.tokens[id] = max(all.tokens[id], expires)
	}
	for id, c := range s.young.clients {
		all.addClient(id, c)
	}
	return all
}

// knows reports whether the set says as much as the entry.
func (s *Set) knows(e Entry) bool { return s != nil && (s.young.says(e) || s.old.says(e)) }

func (l *layer) says(e Entry) bool {
	if e.ID != "" {
		return l.tokens[e.ID] >= e.Expires.Unix()
	}
	c, ok := l.clients[e.ClientID]
	return ok && c.before >= e.Before.Unix() && c.expires >= e.Expires.Unix()
}

func (l *layer) init() {
	if l.tokens == nil {
		l.tokens, l.clients = make(map[string]int64), make(map[string]client)
	}
}

func (l *layer) clone() layer { return layer{maps.Clone(l.tokens), maps.Clone(l.clients)} }

// add keeps the later of two entries of the same name.
func (l *layer) add(e Entry) {
	if e.ID != "" {
		l.tokens[e.ID] = max(l.tokens[e.ID], e.Expires.Unix())
		return
	}
	l.addClient(e.ClientID, client{e.Before.Unix(), e.Expires.Unix()})
}

func (l *layer) addClient(id string, c client) {
	former := l.clients[id]
	l.clients[id] = client{max(former.before, c.before), max(former.expires, c.expires)}
}

// drop lets go of what an entry says.
func (l *layer) drop(e Entry) {
	if e.ID != "" {
		if l.tokens[e.ID] <= e.Expires.Unix() {
			delete(l.tokens, e.ID)
		}
		return
	}
	if c := l.clients[e.ClientID]; c.before <= e.Before.Unix() && c.expires <= e.Expires.Unix() {
		delete(l.clients, e.ClientID)
	}
}

func (c client) entry(id string) Entry {
	return Entry{ClientID: id, Before: time.Unix(c.before, 0).UTC(), Expires: time.Unix(c.expires, 0).UTC()}
}

// All are the entries that are not over, in no order.
func (s *Set) All(now time.Time) []Entry {
	all := s.without(now)
	entries := make([]Entry, 0, all.old.len())
	for id, c := range all.old.clients {
		entries = append(entries, c.entry(id))
	}
	for id, expires := range all.old.tokens {
		entries = append(entries, OfToken(id, time.Unix(expires, 0)))
	}
	return entries
}

// Entries are those that are not over: of clients first, each kind sorted by name. They are those behind
// an entry, if one is given, at most limit of them.
func (s *Set) Entries(now time.Time, after Entry, limit int) []Entry {
	entries := slices.DeleteFunc(s.All(now), func(e Entry) bool { return after != Entry{} && compare(e, after) <= 0 })
	slices.SortFunc(entries, compare)
	return entries[:min(limit, len(entries))]
}

func compare(a, b Entry) int {
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.ClientID, b.ClientID))
}
