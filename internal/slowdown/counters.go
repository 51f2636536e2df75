package slowdown

import "time"

const (
	// rows is how many cells count for a key. The least of them is its count, so that two keys that share one cell do not
	// disturb each other (a count-min sketch with conservative update).
	rows = 2
	// cells is how many cells a row has.
	cells = 1 << 15
)

// counters counts events by the hash of a key, and forgets one event of each key in each recovery time. They have a fixed size. A
// count can be too high, because keys share cells, and is never too low.
type counters struct {
	most     float64 // a count does not grow beyond it
	recovery time.Duration
	row      [rows][cells]cell
}

// cell is a count at a moment, by a clock that begins with the guard.
type cell struct {
	count float64
	at    time.Duration
}

// place returns the place of a hash in a row.
func place(hash uint64, row int) int { return int(hash >> (32 * row) % cells) }

// get returns the count of a key.
func (c *counters) get(hash uint64, now time.Duration) float64 {
	least := c.most
	for n := range c.row {
		least = min(least, c.row[n][place(hash, n)].value(now, c.recovery))
	}
	return least
}

// add counts an event of a key, and returns its count.
func (c *counters) add(hash uint64, now time.Duration) float64 {
	count := min(c.get(hash, now)+1, c.most)
	for n := range c.row {
		if at := &c.row[n][place(hash, n)]; at.value(now, c.recovery) < count {
			*at = cell{count, now}
		}
	}
	return count
}

// value returns what is left of a count.
func (c *cell) value(now, recovery time.Duration) float64 {
	return max(0, c.count-max(0, float64(now-c.at))/float64(recovery))
}
