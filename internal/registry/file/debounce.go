package file

import (
	"crypto/sha256"
	"time"
)

const (
	// settleTime is how long content has to stay the same before it is taken. It is shorter than the interval of the
	// loop that calls Reload, so that a call that comes a little early is not wasted.
	settleTime = 100 * time.Millisecond

	// restlessTime is how long a file may keep changing before that is an error.
	restlessTime = 5 * time.Second
)

const restless = "keeps changing: no two reads in a row return the same"

// debounce waits until new content stays the same. What is read earlier may be half of what is being written, and half a
// file may be valid without the grants that deny.
type debounce struct {
	sum   [sha256.Size]byte // of the content that was read last
	first time.Time         // when it was first read
	since time.Time         // when the file began to change; zero while there is no new content
}

// isOver reports whether the content is complete: it was read before, at least settleTime ago, or the file is old.
// Modification times alone are not enough, because the clock of a file server may be wrong.
func (d *debounce) isOver(sum [sha256.Size]byte, seen stamp) bool {
	if d.since.IsZero() {
		*d = debounce{sum: sum, first: seen.read, since: seen.read}
	}
	if sum != d.sum || !seen.still {
		d.sum, d.first = sum, seen.read
	}
	return seen.still && (seen.isOld() || seen.read.Sub(d.first) >= settleTime)
}

// isRestless reports whether the file has kept changing for too long.
func (d *debounce) isRestless(now time.Time) bool {
	return now.Sub(d.since) >= restlessTime
}
