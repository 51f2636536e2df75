package registry

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

// maxRecent is how many keys a journal remembers. Whoever has not looked for longer forgets all it
// has in memory.
const maxRecent = 512

// journal tells every node what changed. It is written before a change, with the keys that are about
// to change, and after it. So a change is never missed, also when its writer dies in between: keys
// that are pending are read again at every look, until the next writer has settled them.
type journal struct {
	// Sequence counts the finished changes.
	Sequence uint64 `json:"sequence"`
	// Pending are the keys that a writer has begun to change.
	Pending *keys `json:"pending,omitempty"`
	// Recent are the last changes, in order.
	Recent []finished `json:"recent,omitempty"`
}

// Where a journal that takes the place of a broken one begins to count: one of the many numbers that are so far ahead of
// what was counted, and of each other, that no count gets from one to the next.
const (
	restartStep  = 1 << 32
	restartSteps = 1 << 20
)

// newJournalAfter takes the place of a broken journal, of which nobody knows what it told: everybody reads everything
// anew. Who writes it may have seen less than others, and somebody else may have to do the same again before all have
// looked; so that nobody takes a number for one that they have followed, each such journal has its own.
func newJournalAfter(seen uint64) *journal {
	ahead := restartStep * (1 + rand.Uint64N(restartSteps))
	return &journal{Sequence: seen + ahead, Pending: &keys{All: true}}
}

type finished struct {
	Sequence uint64 `json:"sequence"`
	keys
}

// keys are those of records, or all of them.
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

// since is what has or may have changed after a sequence.
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

// begin says that keys are about to change; those of a writer that died stay pending with them.
func (j *journal) begin(changing keys) {
	if j.Pending != nil {
		changing.add(*j.Pending)
	}
	j.Pending = &changing
}

// finish settles what is pending.
func (j *journal) finish() {
	j.Sequence++
	j.Recent = append(j.Recent, finished{j.Sequence, *j.Pending})
	j.Pending = nil
	total := 0
	for i := len(j.Recent) - 1; i >= 0; i-- {
		if total += 1 + len(j.Recent[i].Keys); total > maxRecent {
			j.Recent = append([]finished(nil), j.Recent[i+1:]...)
			break
		}
	}
}

var errLost = errors.New("it is gone, with all of the registry or without")

// checkThere fails when what is not found may be there all the same, for the storage has lost the journal, too.
func (s *Store) checkThere(ctx context.Context) error {
	if s.sequence.Load() > 0 && !s.storage.Exists(ctx, s.journalKey()) {
		return unavailable("looking for "+s.journalKey(), errLost)
	}
	return nil
}

func (s *Store) journalKey() string { return s.prefix + "/journal" + recordSuffix }

// loadJournal is the journal as it is stored; it is empty before the first change. One that was there and is gone is
// an error: the storage is not the one that it was, as a folder is on which nothing is mounted any more.
func (s *Store) loadJournal(ctx context.Context) (*journal, error) {
	content, err := loadRecord(ctx, s.storage, s.journalKey(), journalLabel)
	if errors.Is(err, ErrNotFound) {
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
	if err := s.storage.Store(ctx, s.journalKey(), envelope.Seal(journalLabel, content)); err != nil {
		return unavailable("storing "+s.journalKey(), err)
	}
	return nil
}
