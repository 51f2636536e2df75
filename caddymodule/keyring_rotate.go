package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// locked does something while no other node does. What it is to do it finds out anew in there, for another node
// may have done it while this one waited.
func (k *keyring) locked(ctx context.Context, do func() error) error {
	lock := "m2m_" + path.Base(path.Dir(k.prefix)) + "_keys"
	if err := k.storage.Lock(ctx, lock); err != nil {
		return fmt.Errorf("locking storage: %w", err)
	}
	defer func() {
		if err := k.storage.Unlock(context.WithoutCancel(ctx), lock); err != nil {
			k.logger.Error("unlocking storage", zap.Error(err))
		}
	}()
	return do()
}

// tend does what is due, and returns what storage has then. A node that dies in the middle leaves nothing that
// the others would have to clean up: each step is whole, and the next look finds what is left to do.
func (k *keyring) tend(ctx context.Context) (found *keyObjects, err error) {
	err = k.locked(ctx, func() error {
		if found, err = k.read(ctx); err != nil {
			return err
		}
		plan := k.plan(found)
		if plan.make {
			if _, err := k.make(ctx, plan.signsFrom); err != nil {
				return err
			}
			if len(found.keys)+len(found.broken) == 0 {
				k.logger.Warn("there were no signing keys, so this is a new issuer; if there should be some, the storage is not the one that it was")
			}
		}
		if plan.make || k.halfSealed(found.keys) {
			if err := k.reseal(ctx, found.keys); err != nil {
				return err
			}
		}
		for _, key := range found.undone {
			if err := k.write(ctx, key); err != nil {
				return err
			}
			k.logger.Warn("a signing key that was given up was stored as a good one; it is given up again", zap.String("kid", key.ID()))
		}
		if plan.lengthen != nil {
			longer := *plan.lengthen
			longer.ttl = k.times.ttl
			if err := k.write(ctx, &longer); err != nil {
				return err
			}
		}
		for _, key := range plan.drop {
			if err := k.remove(ctx, k.nameOf(key.ID())); err != nil {
				return err
			}
			k.logger.Info("dropped a signing key", zap.String("kid", key.ID()))
		}
		found, err = k.read(ctx)
		return err
	})
	return found, err
}

// make makes a signing key and stores it.
func (k *keyring) make(ctx context.Context, signsFrom time.Time) (*issuerKey, error) {
	fresh, err := token.GenerateKey(k.alg)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	key := &issuerKey{SigningKey: fresh, created: k.now().UTC(), signsFrom: signsFrom.UTC(), ttl: k.times.ttl, sealedBy: k.seal.current()}
	if err := k.write(ctx, key); err != nil {
		return nil, err
	}
	k.logger.Info("made a signing key", zap.String("kid", key.ID()), zap.String("alg", string(k.alg)), zap.Time("signs_from", key.signsFrom))
	return key, nil
}

// halfSealed reports whether some keys are encrypted as the config says now, and others are not: an earlier reseal has
// failed.
func (k *keyring) halfSealed(keys []*issuerKey) bool {
	done, left := 0, 0
	for _, key := range keys {
		switch {
		case key.SigningKey == nil:
		case key.sealedBy == k.seal.current():
			done++
		default:
			left++
		}
	}
	return k.seal != nil && done > 0 && left > 0
}

// reseal stores keys anew that are not encrypted as the config says now.
func (k *keyring) reseal(ctx context.Context, keys []*issuerKey) error {
	if k.seal == nil {
		return nil
	}
	for _, key := range keys {
		if key.sealedBy == k.seal.current() {
			continue
		}
		if err := k.write(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// rotated is what a rotation by command has done.
type rotated struct {
	made    *issuerKey
	former  []*issuerKey // all that could be read
	revoked []*issuerKey // as they were, where they could be
}

// nextExistsError is that of a rotation on top of another.
type nextExistsError struct{ next *issuerKey }

func (e *nextExistsError) Error() string {
	return fmt.Sprintf("key %s is the next one already, and signs from %s", e.next.ID(), e.next.signsFrom.UTC().Format(time.RFC3339))
}

// rotate makes the next key now, instead of when it is due.
func (k *keyring) rotate(ctx context.Context) (done rotated, err error) {
	err = k.change(ctx, func(ctx context.Context, found *keyObjects) error {
		now := k.now()
		for _, key := range found.keys {
			if stateAt(found.keys, key, k.alg, now) == keyNext {
				return &nextExistsError{key}
			}
		}
		if done.made, err = k.make(ctx, now.Add(k.times.lead())); err != nil {
			return err
		}
		return k.reseal(ctx, found.keys)
	})
	return done, err
}

// replace gives all keys up, and makes one that signs at once. The new one comes first: whatever fails after
// that, there is a key to sign with, and the command can be given again.
func (k *keyring) replace(ctx context.Context, reason string) (done rotated, err error) {
	err = k.change(ctx, func(ctx context.Context, found *keyObjects) error {
		now := k.now()
		done.former = found.keys
		var failed []error
		if done.made, err = k.make(ctx, now); err != nil {
			return err
		}
		for _, key := range found.keys {
			if key.revoked != nil && !slices.Contains(found.undone, key) {
				continue
			}
			given := *key
			given.revoked = cmp.Or(given.revoked, &keyRevocation{At: now.UTC(), Reason: reason})
			if err := k.write(ctx, &given); err != nil {
				failed = append(failed, fmt.Errorf("revoking key %s: %w; a new key signs, and this one is still taken", key.ID(), err))
				continue
			}
			k.logger.Warn("revoked a signing key", zap.String("kid", key.ID()), zap.String("reason", reason))
			done.revoked = append(done.revoked, key)
			delete(found.broken, k.nameOf(key.ID())) // it is whole again
		}
		// another node may still have the good key of what is broken here, and doors elsewhere have
		for name := range found.broken {
			lost := &issuerKey{lost: kidOf(name), created: now, signsFrom: now, ttl: token.MaxTTL, revoked: &keyRevocation{At: now.UTC(), Reason: reason}}
			if err := k.write(ctx, lost); err != nil {
				failed = append(failed, fmt.Errorf("revoking key %s: %w", lost.ID(), err))
				continue
			}
			k.logger.Warn("revoked a signing key that cannot be read", zap.String("kid", lost.ID()), zap.String("reason", reason))
			done.revoked = append(done.revoked, lost)
		}
		return joinSorted(failed)
	})
	return done, err
}

// change changes the keys while nobody else does, and takes over what they are then, be it half done.
func (k *keyring) change(ctx context.Context, do func(context.Context, *keyObjects) error) error {
	k.busy.Lock()
	defer k.busy.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyLoadTimeout) // whoever asked may go away
	defer cancel()
	return k.locked(ctx, func() error {
		found, err := k.read(ctx)
		if err != nil {
			return err
		}
		done := do(ctx, found)
		if found, err = k.read(ctx); err == nil {
			k.take(found)
		}
		return errors.Join(done, err)
	})
}
