package revocation

import (
	"slices"
	"time"
)

// shares counts how many tokens of each client are revoked one by one, of those whose client is known.
type shares struct {
	of    map[string]int
	total int
}

// countAll counts the tokens of a set.
func (s *shares) countAll(set *Set) {
	s.of, s.total = set.owned(), 0
	for _, n := range s.of {
		s.total += n
	}
}

// count counts what a set has that it did not have before, of some entries.
func (s *shares) count(before, after *Set, entries []Entry) {
	if before == nil || slices.ContainsFunc(entries, func(e Entry) bool { return e.ClientID != "" }) {
		s.countAll(after) // tokens may have gone, too
		return
	}
	seen := make(map[string]bool)
	for _, e := range entries {
		if e.Owner == "" || seen[e.ID] || before.hasToken(e.ID) || !after.hasToken(e.ID) {
			continue
		}
		seen[e.ID] = true
		s.of[e.Owner]++
		s.total++
	}
}

func (s *Set) hasToken(id string) bool {
	_, old := s.old.tokens[id]
	_, young := s.young.tokens[id]
	return old || young
}

// Share returns how many tokens of a client are revoked one by one at all nodes, and how many those of all clients are. Tokens
// whose client is not known do not count.
func (s *Store) Share(clientID string) (own, all int) {
	s.adding.Lock()
	defer s.adding.Unlock()
	return s.shares.of[clientID], s.shares.total
}

// shareOf returns how many tokens of the clients that entries are about are revoked one by one.
func (s *Store) shareOf(entries []Entry) (sum int) {
	s.adding.Lock()
	defer s.adding.Unlock()
	for _, e := range entries {
		if e.ClientID != "" {
			sum += s.shares.of[e.ClientID]
		}
	}
	return sum
}

// The bytes that an entry takes in a feed, about: its JSON in base64.
const (
	tokenInFeed  = 48
	ownedInFeed  = 96 // with its client and iat
	clientInFeed = 86
)

// FeedSize returns about how many bytes the whole feed has.
func (s *Store) FeedSize() int {
	set := s.set.Load()
	if set == nil {
		return 0
	}
	_, owned := s.Share("")
	clients := len(set.old.clients) + len(set.young.clients)
	return clients*clientInFeed + owned*(ownedInFeed-tokenInFeed) + (set.Len()-clients)*tokenInFeed
}

// Cut returns an entry that revokes the tokens of a client up to a moment, such that at most keep of those that are revoked
// one by one are not redundant then. The moment is as early as that allows, and not after latest. It is not ok if the entry
// would make nothing redundant.
func (s *Store) Cut(clientID string, keep int, latest time.Time) (_ Entry, ok bool) {
	var issued []int64
	s.set.Load().eachOwned(func(t single) {
		if t.owner == clientID {
			issued = append(issued, t.issued)
		}
	})
	return cut(clientID, issued, keep, latest)
}

func cut(clientID string, issued []int64, keep int, latest time.Time) (_ Entry, ok bool) {
	if len(issued) <= keep {
		return Entry{}, false
	}
	slices.Sort(issued)
	before := min(issued[len(issued)-keep-1], latest.Unix())
	if before < issued[0] {
		return Entry{}, false
	}
	return OfClient(clientID, time.Unix(before, 0)), true
}

// CutLargest returns entries as Cut does, for the clients with the most tokens, such that all clients together have at most
// total of them. No client is cut to fewer than least.
func (s *Store) CutLargest(total, least int, latest time.Time) []Entry {
	set := s.set.Load()
	keep := level(set.owned(), total, least)
	issued := make(map[string][]int64)
	set.eachOwned(func(t single) { issued[t.owner] = append(issued[t.owner], t.issued) })
	var entries []Entry
	for clientID, times := range issued {
		if e, ok := cut(clientID, times, keep, latest); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

// level returns the greatest number, not below least, such that the counts add up to at most total if none is larger.
func level(counts map[string]int, total, least int) int {
	low, high := least, least
	for _, n := range counts {
		high = max(high, n)
	}
	for low < high {
		middle, sum := (low+high+1)/2, 0
		for _, n := range counts {
			sum += min(n, middle)
		}
		if sum <= total {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// manyOwned returns the digests of the clients that have revoked many of their tokens one by one.
func (s *Store) manyOwned() map[string]string {
	s.adding.Lock()
	defer s.adding.Unlock()
	many := make(map[string]string)
	for clientID, n := range s.shares.of {
		if n >= manyOwned {
			many[clientID] = digest(clientID)
		}
	}
	return many
}
