package registry

import (
	"crypto/sha256"
	"time"
)

const (
	// settleTime is how long content has to stand before it is taken. It is less than the time
	// between two looks, so that a look that comes a little early is not wasted.
	settleTime = 100 * time.Millisecond

	// restlessTime is how long a file may keep changing until that is told.
	restlessTime = 5 * time.Second
)

const restless = "keeps changing: no two looks in a row see the same"

// settling watches content that is not in force yet. It may be half of what is being written, and
// half a file may be whole as far as it goes, without the grants that deny.
type settling struct {
	sum   [sha256.Size]byte // what the last look saw
	first time.Time         // when it was first seen
	since time.Time         // when the file began to change; zero while there is nothing new
}

// isOver reports whether nobody writes on: the content was seen on another look a while ago, or the
// file is old. Modification times alone would not do, for those of a file server may be off.
func (s *settling) isOver(sum [sha256.Size]byte, seen stamp) bool {
	if s.since.IsZero() {
		*s = settling{sum: sum, first: seen.read, since: seen.read}
	}
	if sum != s.sum || !seen.still {
		s.sum, s.first = sum, seen.read
	}
	return seen.still && (seen.isOld() || seen.read.Sub(s.first) >= settleTime)
}

// isRestless reports whether the file has kept changing for too long.
func (s *settling) isRestless(now time.Time) bool {
	return now.Sub(s.since) >= restlessTime
}
