package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// maxUnflushed is how many secrets' uses are remembered between two flushes. Further uses are not recorded.
const maxUnflushed = 100_000

// Usage records when each secret was last used, to the minute. It does the same for keys, by their thumbprints. Recording a use
// writes nothing. Flush, which is to be called once a minute, writes the uses since the last call.
type Usage struct {
	storage Storage
	prefix  string

	mu       sync.Mutex
	seen     usageMap // since the last flush
	flushing usageMap // what a flush is writing
	count    int
}

// usageMap holds the minute of the last use by client and by secret.
type usageMap map[string]map[string]int64

// NewUsage returns a Usage whose keys in the storage begin with the prefix.
func NewUsage(storage Storage, prefix string) *Usage {
	return &Usage{storage: storage, prefix: prefix, seen: make(usageMap)}
}

// Seen records that a client's secret was used.
func (u *Usage) Seen(client, secretID string, at time.Time) {
	minute := at.Unix() / 60
	u.mu.Lock()
	defer u.mu.Unlock()
	secrets := u.seen[client]
	if _, known := secrets[secretID]; !known {
		if u.count == maxUnflushed {
			return
		}
		u.count++
	}
	if secrets == nil {
		secrets = make(map[string]int64, 1)
		u.seen[client] = secrets
	}
	secrets[secretID] = max(secrets[secretID], minute)
}

// Flush writes the uses since the last call. If it fails, the uses that it has not written are kept for the next call.
func (u *Usage) Flush(ctx context.Context) error {
	u.mu.Lock()
	u.flushing, u.seen, u.count = u.seen, make(usageMap), 0
	work := u.flushing
	u.mu.Unlock()
	for client, secrets := range work {
		if err := u.flushClient(ctx, client, secrets); err != nil {
			u.restore(work)
			return err
		}
		u.mu.Lock()
		delete(work, client)
		u.mu.Unlock()
	}
	return nil
}

// restore takes back the uses that were not written.
func (u *Usage) restore(work usageMap) {
	u.mu.Lock()
	unwritten := maps.Clone(work)
	u.flushing = nil
	u.mu.Unlock()
	for client, secrets := range unwritten {
		for id, minute := range secrets {
			u.Seen(client, id, time.Unix(minute*60, 0))
		}
	}
}

// flushClient merges the uses with those that other nodes have written.
func (u *Usage) flushClient(ctx context.Context, client string, secrets map[string]int64) error {
	key, err := u.key(client)
	if err != nil {
		return nil // a client of a registry file, with an id that is too long for a storage
	}
	stored, err := u.load(ctx, key, client)
	if err != nil {
		return err
	}
	before := maps.Clone(stored)
	for id, minute := range secrets {
		stored[id] = max(stored[id], minute)
	}
	dropOldest(stored)
	if maps.Equal(before, stored) {
		return nil
	}
	entry, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	return storeRecord(ctx, u.storage, key, usageLabel(client), entry)
}

// dropOldest keeps the object small when many secrets were created and deleted.
func dropOldest(stored map[string]int64) {
	for len(stored) > registry.MaxSecrets+registry.MaxKeys {
		oldest := ""
		for id, minute := range stored {
			if oldest == "" || minute < stored[oldest] {
				oldest = id
			}
		}
		delete(stored, oldest)
	}
}

// load returns what is stored for a client. A broken object counts as empty, and the next flush replaces it.
func (u *Usage) load(ctx context.Context, key, client string) (map[string]int64, error) {
	stored := make(map[string]int64)
	entry, err := loadRecord(ctx, u.storage, key, usageLabel(client))
	if errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrBroken) {
		return stored, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(entry, &stored); err != nil {
		return make(map[string]int64), nil
	}
	return stored, nil
}

// LastUsed returns when each of a client's secrets was last used on any node. Uses on other nodes are seen up to a minute
// late. Secrets that were never used are left out.
func (u *Usage) LastUsed(ctx context.Context, client string) (map[string]time.Time, error) {
	key, err := u.key(client)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	minutes := []map[string]int64{maps.Clone(u.seen[client]), maps.Clone(u.flushing[client])}
	u.mu.Unlock()
	stored, err := u.load(ctx, key, client)
	if err != nil {
		return nil, err
	}
	last := make(map[string]time.Time)
	for _, secrets := range slices.Insert(minutes, 0, stored) {
		for id, minute := range secrets {
			if at := time.Unix(minute*60, 0).UTC(); at.After(last[id]) {
				last[id] = at
			}
		}
	}
	return last, nil
}

// Forget deletes the uses of a client that was deleted.
func (u *Usage) Forget(ctx context.Context, client string) error {
	u.mu.Lock()
	delete(u.seen, client)
	u.mu.Unlock()
	key, err := u.key(client)
	if err != nil {
		return nil
	}
	if err := u.storage.Delete(ctx, key); err != nil {
		return unavailable("deleting "+key, err)
	}
	return nil
}

func (u *Usage) key(client string) (string, error) {
	name, err := recordName(client)
	if err != nil {
		return "", err
	}
	return path.Join(u.prefix, name), nil
}
