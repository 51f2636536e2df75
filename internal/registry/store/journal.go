package store

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// maxRecent is how many keys a journal remembers. A node that has missed more changes drops all it has in memory.
const maxRecent = 512

// journal tells every node what changed. It is written before a change, with the keys that are about to change, and after
// it. So no node misses a change, even if its writer dies in between: pending keys are read again at every look, until
// the next writer has finished.
type journal struct {
	// Sequence counts the finished changes.
	Sequence uint64 `json:"sequence"`
	// Pending are the keys that a writer has begun to change.
	Pending *keys `json:"pending,omitempty"`
	// Recent are the last changes, in order.
	Recent []change `json:"recent,omitempty"`
	// Index is the name of the root of the clients' index, or "" if there is none. See index.
	Index string `json:"index,omitempty"`
}

// hasIndex reports whether the index has all clients that are not pending.
func (j *journal) hasIndex() bool { return j.Index != "" && (j.Pending == nil || !j.Pending.All) }

// pendingClients returns the ids of clients that a writer has begun to change, sorted.
func (j *journal) pendingClients() []string {
	if j.Pending == nil {
		return nil
	}
	ids := clientsOf(*j.Pending)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// clientsOf returns the ids of the clients among the keys.
func clientsOf(k keys) (ids []string) {
	for _, key := range k.Keys {
		if id, ok := recordID(key); ok && isClientKey(key) {
			ids = append(ids, id)
		}
	}
	return ids
}

// A journal that replaces a broken one begins to count at a random number. The possible numbers are so far apart that
// counting never gets from one to the next.
const (
	restartStep  = 1 << 32
	restartSteps = 1 << 20
)

// newJournalAfter returns a journal that replaces a broken one. What that said is unknown, so every node reads everything
// again. The node that writes it may have seen less than others, and another node may replace it again before all have
// looked. So each such journal has a number of its own, which no node takes for one that it has followed.
func newJournalAfter(seen uint64) *journal {
	ahead := restartStep * (1 + rand.Uint64N(restartSteps))
	return &journal{Sequence: seen + ahead, Pending: &keys{All: true}}
}

// change is a finished change.
type change struct {
	Sequence uint64 `json:"sequence"`
	keys
}

// keys are the keys of some records, or of all.
type keys struct {
	All  bool     `json:"all,omitempty"`
	Keys []string `json:"keys,omitempty"`
}

func keysOf(names []string) keys {
	if len(names) > maxRecent {
		return keys{All: true}
	}
	return keys{Keys: names}
}

func (k *keys) add(other keys) {
	k.Keys = append(k.Keys, other.Keys...)
	if k.All = k.All || other.All || len(k.Keys) > maxRecent; k.All {
		k.Keys = nil
	}
}

// since returns the keys that have changed, or may have, after the change with the number seen.
func (j *journal) since(seen uint64) keys {
	var changed keys
	if j.Pending != nil {
		changed.add(*j.Pending)
	}
	if j.Sequence == seen {
		return changed
	}
	if j.Sequence < seen || len(j.Recent) == 0 || j.Recent[0].Sequence > seen+1 {
		return keys{All: true}
	}
	for _, f := range j.Recent {
		if f.Sequence > seen {
			changed.add(f.keys)
		}
	}
	return changed
}

// begin records that keys are about to change. The keys of a writer that died remain pending with them.
func (j *journal) begin(changing keys) {
	if j.Pending != nil {
		changing.add(*j.Pending)
	}
	j.Pending = &changing
}

// finish records that the pending keys have changed.
func (j *journal) finish() {
	j.Sequence++
	j.Recent = append(j.Recent, change{j.Sequence, *j.Pending})
	j.Pending = nil
	total := 0
	for i := len(j.Recent) - 1; i >= 0; i-- {
		if total += 1 + len(j.Recent[i].Keys); total > maxRecent {
			j.Recent = append([]change(nil), j.Recent[i+1:]...)
			break
		}
	}
}

var errLost = errors.New("it was there and is gone")

// checkNotLost returns an error if the storage has also lost the journal. Then an object that was not found may exist.
func (s *Store) checkNotLost(ctx context.Context) error {
	if s.sequence.Load() > 0 && !s.storage.Exists(ctx, s.journalKey()) {
		return unavailable("looking for "+s.journalKey(), errLost)
	}
	return nil
}

func (s *Store) journalKey() string { return s.prefix + "/journal" + recordSuffix }

// loadJournal returns the stored journal, which is empty before the first change. A journal that existed and is gone is an
// error: the storage is not the same as before, such as a folder whose volume is no longer mounted.
func (s *Store) loadJournal(ctx context.Context) (*journal, error) {
	content, err := loadRecord(ctx, s.storage, s.journalKey(), journalLabel)
	if errors.Is(err, registry.ErrNotFound) {
		if s.sequence.Load() > 0 {
			return nil, unavailable("loading "+s.journalKey(), errLost)
		}
		return new(journal), nil
	}
	if err != nil {
		return nil, err
	}
	j := new(journal)
	if err := json.Unmarshal(content, j); err != nil {
		return nil, broken(s.journalKey(), err)
	}
	return j, nil
}

func (s *Store) storeJournal(ctx context.Context, j *journal) error {
	content, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return storeRecord(ctx, s.storage, s.journalKey(), journalLabel, content)
}
