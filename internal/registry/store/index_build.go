package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/folder"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

const (
	// buildPause is how long lists leave a registry without an index after an attempt to make one, which another version of
	// this program in the cluster may have undone.
	buildPause = 5 * time.Minute
	// checkPause is how long a node uses the index for lists until it compares it with the storage.
	checkPause = time.Hour
	// followPause is how long the builder reads clients until it looks which have changed.
	followPause = time.Second
	// buildRounds is how often the builder reads clients that have changed before it locks the registry.
	buildRounds = 3
)

// indexing is what a Store has for its index.
type indexing struct {
	indexMemory         indexMemory // of lists
	indexFrom, pageSize int
	building            singleflight.Group
	nextBuild           atomic.Int64 // in nanoseconds since 1970
	nextCheck           atomic.Int64
	background          context.Context // of what is done in the background, until Close
	endBackground       context.CancelFunc
}

// due reports whether the time has come, and moves it.
func (s *Store) due(at *atomic.Int64, pause time.Duration) bool {
	was, now := at.Load(), s.now()
	return now.UnixNano() >= was && at.CompareAndSwap(was, now.Add(pause).UnixNano())
}

// buildIndexLater makes an index in the background. If an index is damaged, it takes its place.
func (s *Store) buildIndexLater(damaged string) {
	if s.due(&s.nextBuild, buildPause) {
		s.behind("making an index of the clients", func() error { return s.rebuildIndex(damaged) })
	}
}

// checkIndexLater compares the index with the storage in the background, from time to time. It finds clients that were
// restored by hand.
func (s *Store) checkIndexLater() {
	if s.due(&s.nextCheck, checkPause) {
		s.behind("checking the index of the clients", func() error { return s.checkIndex(s.background) })
	}
}

// behind calls do in the background. What fails because the store is closed is not reported.
func (s *Store) behind(doing string, do func() error) {
	go func() {
		if err := do(); err != nil && s.background.Err() == nil {
			s.report(doing, err)
		}
	}()
}

// checkIndex makes a new index if the present one does not have the clients that are stored.
func (s *Store) checkIndex(ctx context.Context) error {
	j, err := s.loadJournal(ctx)
	if err != nil || j.Index == "" || j.Pending != nil {
		return err
	}
	root, err := s.loadIndex(ctx, j.Index)
	if errors.Is(err, errNoIndex) {
		return s.rebuildIndex(j.Index)
	}
	if err != nil {
		return err
	}
	ids, err := s.storedIDs(ctx)
	if err != nil || len(ids) == root.Count && sumOf(ids) == root.Sum {
		return err
	}
	again, err := s.loadJournal(ctx)
	if err != nil || again.Sequence != j.Sequence || again.Pending != nil {
		s.nextCheck.Store(s.now().Add(buildPause).UnixNano()) // clients have changed meanwhile
		return err
	}
	return s.rebuildIndex(j.Index)
}

// removing calls remove, which fails if it needs an index and there is none. Then it makes one, while the registry is not
// locked, and calls remove again.
func (s *Store) removing(ctx context.Context, remove func(readAll bool) error) error {
	err := remove(false)
	var wanted *indexWantedError
	if !errors.As(err, &wanted) {
		return err
	}
	if err := s.buildIndex(ctx, wanted.damaged); err != nil {
		s.report("making an index of the clients", err)
	}
	return remove(true)
}

// indexBuild makes an index while others change clients.
type indexBuild struct {
	store    *Store
	damaged  string // name of an index that cannot be used
	root     *index
	seen     uint64          // number of the last change that was followed
	changed  map[string]bool // ids of clients that have changed since they were read
	followed time.Time
	ended    bool // the journal may name the index
}

var errChangesTooFast = errors.New("too many clients change meanwhile")

// buildIndex makes an index, unless the journal names one that is not the damaged one. It goes on if ctx ends.
func (s *Store) buildIndex(ctx context.Context, damaged string) error {
	_, err := poll.Shared(ctx, &s.building, "", func(ctx context.Context) (none struct{}, _ error) {
		return none, s.makeIndex(ctx, damaged)
	})
	return err
}

// rebuildIndex does what buildIndex does, until the store is closed. A config that takes over makes its own index.
func (s *Store) rebuildIndex(damaged string) error {
	_, err := poll.Shared(s.background, &s.building, "", func(context.Context) (none struct{}, _ error) {
		return none, s.makeIndex(s.background, damaged)
	})
	return err
}

func (s *Store) makeIndex(ctx context.Context, damaged string) error {
	b := &indexBuild{store: s, damaged: damaged, root: new(index), changed: make(map[string]bool)}
	err := b.run(ctx)
	if !b.ended {
		s.deleteIndexObjects(context.WithoutCancel(ctx), b.root.objects())
	}
	return err
}

func (b *indexBuild) run(ctx context.Context) error {
	needed, err := b.begin(ctx)
	if err != nil || !needed {
		return err
	}
	if err := b.readAll(ctx); err != nil {
		return err
	}
	for round := 0; round < buildRounds && len(b.changed) > 0; round++ {
		if err := b.readChanged(ctx); err != nil {
			return err
		}
		if err := b.follow(ctx); err != nil {
			return err
		}
	}
	return b.end(ctx)
}

// begin makes sure that no earlier change is unfinished. It reports whether an index is needed.
func (b *indexBuild) begin(ctx context.Context) (needed bool, err error) {
	s := b.store
	err = s.write(ctx, func(ctx context.Context, w *writer) error {
		if needed = b.isNeeded(w.journal); !needed {
			return nil
		}
		if w.journal.Pending != nil {
			if err := w.commit(ctx, nil); err != nil {
				return err
			}
		}
		b.seen = s.sequence.Load() // commit does not count a change whose end it could not store
		return nil
	})
	return needed, err
}

func (b *indexBuild) isNeeded(j *journal) bool { return !j.hasIndex() || j.Index == b.damaged }

// readAll reads all clients, page by page.
func (b *indexBuild) readAll(ctx context.Context) error {
	s := b.store
	ids, err := s.storedIDs(ctx)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, s.pageSize) {
		read := make(map[string]names, len(chunk))
		if err := b.read(ctx, chunk, read); err != nil {
			return err
		}
		entries := merged(nil, chunk, read)
		refs, err := s.storePages(ctx, entries)
		if err != nil {
			return err
		}
		b.root.Pages = append(b.root.Pages, refs...)
		b.root.count(entries, 1)
	}
	return b.follow(ctx)
}

// read reads clients, and follows the journal meanwhile, which does not remember many changes.
func (b *indexBuild) read(ctx context.Context, ids []string, to map[string]names) error {
	for few := range slices.Chunk(ids, 10) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := b.store.readNames(ctx, few, to); err != nil {
			return err
		}
		if time.Since(b.followed) > followPause {
			if err := b.follow(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *indexBuild) follow(ctx context.Context) error {
	j, err := b.store.loadJournal(ctx)
	if err != nil {
		return err
	}
	b.followed = time.Now()
	return b.take(j)
}

// take notes which clients have changed.
func (b *indexBuild) take(j *journal) error {
	changed := j.since(b.seen)
	if changed.All {
		return errChangesTooFast
	}
	for _, id := range clientsOf(changed) {
		b.changed[id] = true
	}
	b.seen = j.Sequence
	return nil
}

// readChanged reads the clients again that have changed.
func (b *indexBuild) readChanged(ctx context.Context) error {
	ids := slices.Collect(maps.Keys(b.changed))
	clear(b.changed)
	changes := make(map[string]names, len(ids))
	if err := b.read(ctx, ids, changes); err != nil {
		return err
	}
	next, err := b.store.withChanges(ctx, b.root, changes)
	if err != nil {
		return err
	}
	if next != b.root {
		next.Replaced = append(next.Replaced, b.root.Replaced...)
		b.root = next
	}
	return nil
}

var errSwept = errors.New("another node has deleted parts of it")

// end makes the journal name the index, and deletes what earlier attempts have left. The index takes the place of one with
// the same damage: changes meanwhile have given the damaged one other names.
func (b *indexBuild) end(ctx context.Context) error {
	s := b.store
	return s.write(ctx, func(ctx context.Context, w *writer) error {
		objects, err := s.indexObjects(ctx)
		if err != nil {
			return err
		}
		swept := slices.ContainsFunc(b.root.Pages, func(p pageRef) bool { return !objects[p.Name] })
		switch {
		case w.journal.hasIndex() && (b.damaged == "" || swept):
			return nil // another node was faster
		case swept:
			return errSwept
		}
		if err := b.take(w.journal); err != nil {
			return err
		}
		if err := b.readChanged(ctx); err != nil {
			return err
		}
		name, err := s.storeIndexObject(ctx, b.root)
		if err != nil {
			return err
		}
		w.journal.Index, b.ended = name, true
		if err := w.commit(ctx, nil); err != nil {
			return err
		}
		return s.sweepIndex(ctx, w.journal.Index, objects)
	})
}

// indexObjects returns the names of all objects of indexes.
func (s *Store) indexObjects(ctx context.Context) (map[string]bool, error) {
	keys, err := folder.List(ctx, s.storage, s.indexFolder())
	if err != nil {
		return nil, unavailable("listing "+s.indexFolder(), err)
	}
	objects := make(map[string]bool, len(keys))
	for _, key := range keys {
		if name, ok := strings.CutSuffix(path.Base(key), recordSuffix); ok {
			objects[name] = true
		}
	}
	return objects, nil
}

// sweepIndex deletes those of the objects that the index with that name does not use.
func (s *Store) sweepIndex(ctx context.Context, name string, objects map[string]bool) error {
	root, err := s.loadIndex(ctx, name)
	if err != nil {
		return fmt.Errorf("reading what was stored: %w", err)
	}
	for _, used := range append(root.objects(), name) {
		delete(objects, used)
	}
	s.deleteIndexObjects(ctx, slices.Collect(maps.Keys(objects)))
	return nil
}
