package revocation

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sync"
)

// segmentSize is how many entries a segment holds. Until then each write replaces the last segment with a larger one, so
// that many revocations make few objects, which other nodes read quickly.
const segmentSize = 512

// queue collects entries to write. While one write is running the next batch gathers all that is revoked meanwhile, so that
// many revocations take few writes.
type queue struct {
	sync.Mutex
	next *batch

	writing sync.Mutex // guards what follows
	number  uint64     // of this process's last segment
	tail    []Entry    // of its last segment
	name    string     // the key of the last segment, or "" before the first
}

type batch struct {
	entries []Entry
	done    chan struct{}
	err     error
}

// Revoke stores entries and then puts them in force here. After an error nothing is in force here, but if the storage did
// not answer in time the entries may have been stored, and then the next read puts them in force. Revoke fails on entries
// that Check refuses.
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

// store writes entries and waits for the result. The write goes on if ctx ends.
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
		s.noteUndeleted(replaced, err) // a sweep deletes it when it is over
	}
}

// write stores entries and then adds them to memory. It returns the key of the segment that the new one replaces, if any.
func (s *Store) write(ctx context.Context, entries []Entry) (replaced string, err error) {
	q := &s.queue
	now := s.now() // entries that are over only by this clock stay
	given := new(Set).with(entries, now)
	set := s.set.Load()
	tail := slices.DeleteFunc(slices.Clone(q.tail), func(e Entry) bool {
		return over(e.Expires.Unix(), now.Add(-storageGrace)) || given.knows(e) || given.redundant(e) || set.redundant(e)
	})
	if replaced = q.name; len(tail)+len(entries) > segmentSize {
		tail, replaced = nil, ""
	}
	tail = append(tail, entries...)
	q.number++ // never used again, because a failed write may have stored the object
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
	had := s.shareOf(entries)
	s.add(entries, now)
	if s.shareOf(entries) < had {
		s.rewrite.Store(true)
	}
	return replaced, nil
}
