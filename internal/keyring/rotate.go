package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// locked calls do while no other node does. Another node may have done the work while this one waited for the lock, so do
// has to find out what there is to do.
func (r *Ring) locked(ctx context.Context, do func() error) error {
	if err := r.storage.Lock(ctx, r.lock); err != nil {
		return fmt.Errorf("locking storage: %w", err)
	}
	defer func() {
		if err := r.storage.Unlock(context.WithoutCancel(ctx), r.lock); err != nil {
			r.logger.Error("unlocking storage", zap.Error(err))
		}
	}()
	return do()
}

// maintain does what is due, and returns what storage has afterwards. A node that dies in the middle leaves nothing to
// clean up: each step is complete in itself, and the next read finds the remaining ones.
func (r *Ring) maintain(ctx context.Context) (found *contents, err error) {
	err = r.locked(ctx, func() error {
		if found, err = r.read(ctx); err != nil {
			return err
		}
		if err := r.follow(ctx, r.plan(found), found); err != nil {
			return err
		}
		found, err = r.read(ctx)
		return err
	})
	return found, err
}

func (r *Ring) follow(ctx context.Context, plan plan, found *contents) error {
	if plan.create {
		if _, err := r.create(ctx, plan.signsFrom); err != nil {
			return err
		}
		if len(found.keys)+len(found.broken) == 0 {
			r.logger.Warn("there were no signing keys, so this is a new issuer; if there should be some, this is the wrong storage")
		}
	}
	if plan.create || r.partlySealed(found.keys) {
		if err := r.reseal(ctx, found.keys); err != nil {
			return err
		}
	}
	for _, key := range found.unrevoked {
		if err := r.write(ctx, key); err != nil {
			return err
		}
		r.logger.Warn("a revoked signing key was stored as a good one; it is revoked again", zap.String("kid", key.ID()))
	}
	if plan.extend != nil {
		extended := *plan.extend
		extended.ttl = r.times.TTL
		if err := r.write(ctx, &extended); err != nil {
			return err
		}
	}
	for _, key := range plan.drop {
		name := r.nameOf(key.ID())
		if err := r.storage.Delete(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("deleting %s: %w", name, err)
		}
		r.logger.Info("dropped a signing key", zap.String("kid", key.ID()))
	}
	return nil
}

// create generates a signing key and stores it.
func (r *Ring) create(ctx context.Context, signsFrom time.Time) (*storedKey, error) {
	generated, err := token.GenerateKey(r.alg)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	key := &storedKey{SigningKey: generated, created: r.now().UTC(), signsFrom: signsFrom.UTC(), ttl: r.times.TTL, sealedBy: r.seal.current()}
	if err := r.write(ctx, key); err != nil {
		return nil, err
	}
	r.logger.Info("made a signing key", zap.String("kid", key.ID()), zap.String("alg", string(r.alg)), zap.Time("signs_from", key.signsFrom))
	return key, nil
}

// partlySealed reports whether only some keys are encrypted as configured: an earlier reseal failed.
func (r *Ring) partlySealed(keys []*storedKey) bool {
	done := func(key *storedKey) bool { return key.SigningKey != nil && key.sealedBy == r.seal.current() }
	left := func(key *storedKey) bool { return key.SigningKey != nil && key.sealedBy != r.seal.current() }
	return r.seal != nil && slices.ContainsFunc(keys, done) && slices.ContainsFunc(keys, left)
}

// reseal encrypts the keys that are not encrypted as configured.
func (r *Ring) reseal(ctx context.Context, keys []*storedKey) error {
	if r.seal == nil {
		return nil
	}
	for _, key := range keys {
		if key.sealedBy == r.seal.current() {
			continue
		}
		if err := r.write(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// Rotation is what Rotate or Replace did, also before an error.
type Rotation struct {
	Made    *Info // the new key, or nil if none was made
	Revoked []RevokedKey
}

// RevokedKey is a key that was revoked.
type RevokedKey struct {
	Before *Info // nil if the key could not be read
	After  Info
}

// NextExistsError is the error of Rotate if there is a next key already.
type NextExistsError struct {
	ID        string
	SignsFrom time.Time
}

func (e *NextExistsError) Error() string {
	return fmt.Sprintf("key %s is the next one already, and signs from %s", e.ID, e.SignsFrom.UTC().Format(time.RFC3339))
}

// Rotate makes the next key now, instead of when it is due.
func (r *Ring) Rotate(ctx context.Context) (Rotation, error) {
	var made *storedKey
	err := r.change(ctx, func(ctx context.Context, found *contents) (err error) {
		now := r.now()
		for _, key := range found.keys {
			if stateAt(found.keys, key, r.alg, now) == Next {
				return &NextExistsError{key.ID(), key.signsFrom}
			}
		}
		if made, err = r.create(ctx, now.Add(r.times.lead())); err != nil {
			return err
		}
		return r.reseal(ctx, found.keys)
	})
	return r.rotation(made, nil, nil), err
}

// Replace revokes all keys, and makes one that signs at once. It makes the new key first, so that there is a key to sign
// with whatever fails afterwards, and Replace can be called again.
func (r *Ring) Replace(ctx context.Context, reason string) (Rotation, error) {
	var made *storedKey
	var former, revoked []*storedKey
	err := r.change(ctx, func(ctx context.Context, found *contents) (err error) {
		now := r.now()
		former = found.keys
		if made, err = r.create(ctx, now); err != nil {
			return err
		}
		revocation := &revocation{At: now.UTC(), Reason: reason}
		var failed []error
		for _, key := range found.keys {
			if key.revoked != nil && !slices.Contains(found.unrevoked, key) {
				continue
			}
			changed := *key
			changed.revoked = cmp.Or(changed.revoked, revocation)
			if err := r.write(ctx, &changed); err != nil {
				failed = append(failed, fmt.Errorf("revoking key %s: %w; a new key signs, and this one is still accepted", key.ID(), err))
				continue
			}
			r.logger.Warn("revoked a signing key", zap.String("kid", key.ID()), zap.String("reason", reason))
			revoked = append(revoked, key)
			delete(found.broken, r.nameOf(key.ID())) // it was just written
		}
		// Other nodes and remote doors may have read a broken key when it was good.
		for name := range found.broken {
			key := &storedKey{kid: kidOf(name), created: now, signsFrom: now, ttl: token.MaxTTL, revoked: revocation}
			if err := r.write(ctx, key); err != nil {
				failed = append(failed, fmt.Errorf("revoking key %s: %w", key.ID(), err))
				continue
			}
			r.logger.Warn("revoked a signing key that cannot be read", zap.String("kid", key.ID()), zap.String("reason", reason))
			revoked = append(revoked, key)
		}
		return joinSorted(failed)
	})
	return r.rotation(made, former, revoked), err
}

// rotation describes what was done: the keys as they are loaded, or as they were written if they could not be loaded
// afterwards.
func (r *Ring) rotation(made *storedKey, former, revoked []*storedKey) (done Rotation) {
	loaded := cmp.Or(r.loaded.Load(), new(Set))
	after := func(key *storedKey) Info { return r.info(loaded.all, cmp.Or(loaded.key(key.ID()), key)) }
	if made != nil {
		info := after(made)
		done.Made = &info
	}
	for _, key := range revoked {
		change := RevokedKey{After: after(key)}
		if slices.Contains(former, key) {
			before := r.info(former, key)
			change.Before = &before
		}
		done.Revoked = append(done.Revoked, change)
	}
	return done
}

// change calls do while no other node changes the keys, and uses the result even if do fails half-way. It goes on if the
// caller leaves.
func (r *Ring) change(ctx context.Context, do func(context.Context, *contents) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), LoadTimeout)
	defer cancel()
	return r.locked(ctx, func() error {
		found, err := r.read(ctx)
		if err != nil {
			return err
		}
		done := do(ctx, found)
		if found, err = r.read(ctx); err == nil {
			r.adopt(found)
		}
		return errors.Join(done, err)
	})
}
