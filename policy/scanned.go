package policy

import "sync"

// scanned is what a log knows of a value that does not change: the bytes that it takes, and whether it holds a credential.
type scanned struct {
	once  sync.Once
	size  int
	found bool
}

func (s *scanned) get(scan func() (size int, found bool)) (size int, found bool) {
	s.once.Do(func() { s.size, s.found = scan() })
	return s.size, s.found
}

// Scanned returns what scan returned when Scanned was called first. It is for the decision log, which scans each client once
// and not for each line.
func (c *Client) Scanned(scan func() (size int, found bool)) (size int, found bool) {
	return c.scanned.get(scan)
}

// Scanned is like that of a Client.
func (r *Resource) Scanned(scan func() (size int, found bool)) (size int, found bool) {
	return r.scanned.get(scan)
}
