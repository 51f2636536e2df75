package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

const (
	// keptLabel is the label of the envelope of a kept bundle.
	keptLabel = "policy bundle"
	// maxKeptHeader is more than the envelope and the header of a kept bundle ever have.
	maxKeptHeader = 16 << 10
)

// keptHeader is the line before a kept bundle. The envelope around both has the checksum.
type keptHeader struct {
	Where      string    `json:"where"`
	URLSHA256  string    `json:"url_sha256"` // of the whole URL, which may hold a credential
	ETag       string    `json:"etag,omitempty"`
	Downloaded time.Time `json:"downloaded"`
}

func (h keptHeader) seal(compressed []byte) ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return envelope.Seal(keptLabel, append(append(line, '\n'), compressed...)), nil
}

func openKept(object []byte) (h keptHeader, compressed []byte, err error) {
	if len(object) > maxCompressed+maxKeptHeader {
		return h, nil, errLargeArchive
	}
	content, err := envelope.Open(keptLabel, object)
	if err != nil {
		return h, nil, err
	}
	line, compressed, found := bytes.Cut(content, []byte("\n"))
	if !found || json.Unmarshal(line, &h) != nil {
		return h, nil, errors.New("its header is not JSON")
	}
	return h, compressed, nil
}

// keptBundle is the copy of the last good bundle in the store.
type keptBundle struct {
	cfg      Config
	restored atomic.Pointer[time.Time] // when Restore ended last

	// Of the poll loop alone.
	pending []byte   // the object to store, or nil
	sum     checksum // of the bundle in it
	stored  checksum // of the last bundle that was stored
}

// next sets the bundle that save stores.
func (k *keptBundle) next(where string, b *Bundle, compressed []byte) {
	if k.pending = nil; k.cfg.Store == nil || b.sum == k.stored {
		return
	}
	object, err := keptHeader{where, hashText(k.cfg.Location), b.ETag, b.Downloaded}.seal(compressed)
	if err != nil {
		k.cfg.OnFault("keeping the policy bundle", err)
		return
	}
	k.pending, k.sum = object, b.sum
}

// save stores the pending bundle. If the store fails, it tries again after the next poll.
func (k *keptBundle) save(ctx context.Context) {
	if k.pending == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.pace.Storage)
	defer cancel()
	if err := k.cfg.Store.Store(ctx, k.pending); err != nil {
		k.cfg.OnFault("keeping the policy bundle", err)
		return
	}
	k.pending, k.stored = nil, k.sum
}

// MayRestore reports whether enough time has passed since the last call of Restored.
func (s *Source) MayRestore() bool {
	last := s.store.restored.Load()
	return last == nil || time.Since(*last) > s.cfg.pace.Restore
}

// Restored says that the result of Restore was put into force, or was not good. Who asks before then waits for it.
func (s *Source) Restored() {
	now := time.Now()
	s.store.restored.Store(&now)
}

// Restore returns the bundle of this URL from the store, or nil if there is none. It verifies the bundle like one that
// was just fetched: write access to the store is not enough to change the policy.
func (s *Source) Restore(ctx context.Context) (*Bundle, error) {
	object, err := s.store.load(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("loading: %w", err)
	}
	header, compressed, err := openKept(object)
	if err != nil || header.URLSHA256 != hashText(s.cfg.Location) {
		return nil, err
	}
	b, err := read(compressed, s.keys)
	if err != nil {
		return nil, err
	}
	b.Version, b.Downloaded = Version{header.ETag, sha256.Sum256(compressed)}, header.Downloaded
	return b, nil
}

// load returns the object in the store, or fs.ErrNotExist if there is none.
func (k *keptBundle) load(ctx context.Context) ([]byte, error) {
	if k.cfg.Store == nil {
		return nil, fs.ErrNotExist
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.pace.Storage)
	defer cancel()
	return k.cfg.Store.Load(ctx)
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
