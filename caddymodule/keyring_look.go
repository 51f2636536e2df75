package caddymodule

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// refresh reads the keys again, and takes them over if they have changed; with tend it does what is due, too.
// Whatever fails, the keys there are go on, and the next look tries again.
func (k *keyring) refresh(ctx context.Context, tend bool) (changed bool, err error) {
	k.busy.Lock()
	defer k.busy.Unlock()
	within, cancel := context.WithTimeout(ctx, keyLoadTimeout)
	defer cancel()
	changed, problem, err := k.look(within, tend)
	former := k.problem.Load()
	switch {
	case ctx.Err() != nil: // the config has ended, or the asker has gone
	case !tend && problem == nil && former != nil && !former.away: // it may be of what is not done here
	default:
		k.note(problem)
	}
	return changed, err
}

func (k *keyring) look(ctx context.Context, tend bool) (changed bool, problem *keyProblem, err error) {
	found, err := k.read(ctx)
	if err != nil {
		return false, &keyProblem{poll.Reason(err), true}, err
	}
	if tend && k.due(found) {
		tended, failed := k.tend(ctx)
		if failed == nil {
			found = tended
		}
		err = failed
	}
	changed = k.take(found)
	if err = errors.Join(err, found.err(), k.times.check(found.keys, k.now())); err != nil {
		return changed, &keyProblem{poll.Reason(err), false}, err
	}
	return changed, nil, nil
}

// due reports whether there is something to do about what storage has.
func (k *keyring) due(found *keyObjects) bool {
	return k.plan(found).due() || len(found.undone) > 0 || k.halfSealed(found.keys)
}

// plan is what is due by the times of the keys. None is made where that which signs may only not be readable.
func (k *keyring) plan(found *keyObjects) keyPlan {
	plan := k.times.plan(found.keys, k.alg, k.now())
	plan.make = plan.make && !k.blind(found)
	return plan
}

// note keeps what is wrong, and logs it once for each new reason.
func (k *keyring) note(problem *keyProblem) {
	former := k.problem.Swap(problem)
	switch {
	case problem == nil && former != nil:
		k.logger.Info("signing keys are whole again")
	case problem != nil && (former == nil || former.text != problem.text) && k.loaded.Load() != nil:
		k.logger.Error("signing keys could not all be read or rotated, those that are loaded serve on", zap.String("error", problem.text))
	}
}

// take takes over what storage has, and reports whether that is something else. What is the same stays the same
// object, for doors remember tokens by it.
func (k *keyring) take(found *keyObjects) (changed bool) {
	fresh := k.snapshot(found)
	former := k.loaded.Load()
	if former == nil && signerAt(fresh.all, k.alg, k.now()) == nil || former != nil && former.mark == fresh.mark {
		return false // there is no start without a key to sign with
	}
	k.loaded.Store(fresh)
	k.tellOfChange(former, fresh)
	return true
}

// tellOfChange logs what nobody here has done.
func (k *keyring) tellOfChange(former, fresh *keys) {
	if former == nil {
		return
	}
	now := k.now()
	for _, key := range former.all {
		end := k.times.until(former.all, key, k.alg, now)
		if key.revoked == nil && fresh.key(key.ID()) == nil && (end.IsZero() || now.Before(end)) {
			k.logger.Warn("a signing key is gone from storage before its time; its tokens are refused", zap.String("kid", key.ID()))
		}
	}
	was, is := signerAt(former.all, k.alg, now), signerAt(fresh.all, k.alg, now)
	switch {
	case is == nil:
		k.logger.Error("there is no key to sign with")
	case was == nil || was.ID() != is.ID():
		k.logger.Info("another key signs", zap.String("kid", is.ID()))
	}
}

// keys is what one look found; it does not change.
type keys struct {
	all    []*issuerKey // in the order in which they sign, also revoked ones
	public *token.KeySet
	jwks   *oauth.Document
	algs   []string // of the public keys, each once
	mark   string   // differs where anything of this does
	broken []string // the names of those of which nothing is known
}

func (s *keys) key(kid string) *issuerKey {
	if s == nil {
		return nil
	}
	for _, key := range s.all {
		if key.ID() == kid {
			return key
		}
	}
	return nil
}

func (k *keyring) snapshot(found *keyObjects) *keys {
	now, all, broken := k.now(), found.keys, slices.Sorted(maps.Keys(found.broken))
	var published []*token.SigningKey
	var mark strings.Builder
	fmt.Fprintln(&mark, broken)
	for _, key := range all {
		end := k.times.until(all, key, k.alg, now)
		public := key.revoked == nil && (end.IsZero() || !now.After(end))
		if public {
			published = append(published, key.SigningKey)
		}
		fmt.Fprintf(&mark, "%s %x %t\n", key.ID(), sha256.Sum256(key.object), public)
	}
	set := token.NewKeySet(published...)
	return &keys{
		all: all, public: set, jwks: oauth.NewDocument(set.JWKS(), jwksContentType, k.times.maxAge),
		algs: algsOf(published), mark: mark.String(), broken: broken,
	}
}

// algsOf lists the algorithms of the keys, each once.
func algsOf(keys []*token.SigningKey) []string {
	algs := make([]string, len(keys))
	for n, key := range keys {
		algs[n] = string(key.Alg())
	}
	slices.Sort(algs)
	return slices.Compact(algs)
}

// joinSorted joins errors in the order of their texts, so that the same ones give the same text.
func joinSorted(errs []error) error {
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
