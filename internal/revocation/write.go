package revocation

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sync"
)

// segmentSize is how many entries a segment has before the next is begun. Until then each write puts a
// larger one in the place of the last: many revocations make few objects, and the others' looks stay
// cheap.
const segmentSize = 512

// queue is what waits to be written. While one write is under way the next gathers all that is asked
// for meanwhile, so that a flood costs a few writes and not one for each entry.
type queue struct {
	sync.Mutex
	next *batch

	writing sync.Mutex // guards what follows
	number  uint64     // of this process's last segment
	tail    []Entry    // of its last segment
	name    string     // the last segment's key; "" before the first
}

type batch struct {
	entries []Entry
	done    chan struct{}
	err     error
}

// Revoke puts entries in force here, once they are in storage. After an error nothing is in force here;
// where the storage did not answer in time the entries may have been stored all the same, and count
// then. Entries that Check refuses are an error.
func (s *Store) Revoke(ctx context.Context, entries ...Entry) error {
	for _, e := range entries {
		if err := e.Check(s.now()); err != nil {
			return err
		}
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	return s.store(ctx, entries)
}

// store waits until entries are written. What has begun is brought to its end, also when nobody waits any more.
func (s *Store) store(ctx context.Context, entries []Entry) error {
	b := s.enqueue(entries)
	select {
	case <-ctx.Done():
		return unavailable("revoking", ctx.Err())
	case <-b.done:
		return b.err
	}
}

func (s *Store) enqueue(entries []Entry) *batch {
	s.queue.Lock()
	defer s.queue.Unlock()
	if s.queue.next == nil {
		s.queue.next = &batch{done: make(chan struct{})}
		go s.writeNext()
	}
	s.queue.next.entries = append(s.queue.next.entries, entries...)
	return s.queue.next
}

func (s *Store) writeNext() {
	s.queue.writing.Lock()
	defer s.queue.writing.Unlock()
	s.queue.Lock()
	b := s.queue.next
	s.queue.next = nil
	s.queue.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	replaced, err := s.write(ctx, b.entries)
	b.err = err
	close(b.done)
	if replaced == "" {
		return
	}
	if err := s.storage.Delete(ctx, replaced); err != nil && !isGone(err) {
		s.noteKept(replaced, err) // it goes when it is over
	}
}

// write stores entries, and then takes them into memory. It returns the segment in whose place it has
// put another.
func (s *Store) write(ctx context.Context, entries []Entry) (replaced string, err error) {
	q := &s.queue
	now := s.now() // what this clock alone takes for over stays, as in other segments
	given := new(Set).with(entries, now)
	tail := slices.DeleteFunc(slices.Clone(q.tail), func(e Entry) bool {
		return over(e.Expires.Unix(), now.Add(-storageGrace)) || given.knows(e)
	})
	if replaced = q.name; len(tail)+len(entries) > segmentSize {
		tail, replaced = nil, ""
	}
	tail = append(tail, entries...)
	q.number++ // a name is never used again, for nobody knows what became of a write that failed
	key := path.Join(s.folder, segmentName(tail, s.writer, q.number))
	object, err := encodeSegment(key, tail)
	if err != nil {
		return "", fmt.Errorf("encoding revocations: %w", err)
	}
	err = s.checkPresent(ctx)
	if err == nil {
		if err = s.storage.Store(ctx, key, object); err != nil {
			err = unavailable("storing "+key, err)
		}
	}
	if err != nil {
		s.tell("revoking", err)
		return "", err
	}
	q.tail, q.name = tail, key
	s.add(entries, now)
	return replaced, nil
}
