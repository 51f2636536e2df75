package keyring

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Watch reads the keys from storage at intervals and does what is due, until ctx is done. Errors do not end it. The
// intervals vary, so that nodes that started together do not read together. After each read Watch calls report with
// whether the keys have changed, and with a reason for a failure that the previous read did not have.
func (r *Ring) Watch(ctx context.Context, report func(changed bool, newProblem string)) {
	for {
		former := r.Problem()
		changed, _, err := r.refresh(ctx, true)
		if ctx.Err() != nil {
			return
		}
		problem := r.Problem()
		if err == nil || problem == former {
			problem = ""
		}
		report(changed, problem)
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.times.Poll - rand.N(r.times.Poll/5+1)):
		}
	}
}

// Reload reads the keys from storage without changing them there. It fails if storage cannot be read. Other problems are
// those of Problem.
func (r *Ring) Reload(ctx context.Context) error {
	_, problem, err := r.refresh(ctx, false)
	if problem != nil && problem.unreadable {
		return err
	}
	return nil
}

// refresh reads the keys and uses them if they have changed. With maintain it also does what is due. After a failure the
// loaded keys stay in use, and the next refresh tries again.
func (r *Ring) refresh(ctx context.Context, maintain bool) (changed bool, problem *problem, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, LoadTimeout)
	defer cancel()
	changed, problem, err = r.readAndAdopt(bounded, maintain)
	former := r.problem.Load()
	switch {
	case ctx.Err() != nil: // the config has ended, or the caller has left
	case !maintain && problem == nil && former != nil && !former.unreadable: // the problem may be of maintenance
	default:
		r.record(problem)
	}
	return changed, problem, err
}

func (r *Ring) readAndAdopt(ctx context.Context, maintain bool) (changed bool, _ *problem, err error) {
	found, err := r.read(ctx)
	if err != nil {
		return false, &problem{poll.Reason(err), true}, err
	}
	if maintain && r.due(found) {
		maintained, failed := r.maintain(ctx)
		if failed == nil {
			found = maintained
		}
		err = failed
	}
	changed = r.adopt(found)
	if err = errors.Join(err, found.err(), r.times.check(found.keys, r.now())); err != nil {
		return changed, &problem{poll.Reason(err), false}, err
	}
	return changed, nil, nil
}

// due reports whether maintain has something to do.
func (r *Ring) due(found *contents) bool {
	return r.plan(found).due() || len(found.unrevoked) > 0 || r.partlySealed(found.keys)
}

// plan returns what is due by the times of the keys. It makes no key if one that cannot be read might be the signer.
func (r *Ring) plan(found *contents) plan {
	plan := r.times.plan(found.keys, r.alg, r.now())
	plan.create = plan.create && !r.signerUnreadable(found)
	return plan
}

// record keeps the problem of a read, and logs each new one once.
func (r *Ring) record(problem *problem) {
	former := r.problem.Swap(problem)
	switch {
	case problem == nil && former != nil:
		r.logger.Info("signing keys are healthy again")
	case problem != nil && (former == nil || former.text != problem.text) && r.loaded.Load() != nil:
		r.logger.Error("signing keys could not all be read or rotated, the loaded ones stay in use", zap.String("error", problem.text))
	}
}

// adopt uses what storage has, and reports whether that differs from the loaded keys. If it does not, the Set stays the
// same object, because doors cache verified tokens by it.
func (r *Ring) adopt(found *contents) (changed bool) {
	fresh := r.snapshot(found)
	former := r.loaded.Load()
	if former == nil && signerAt(fresh.all, r.alg, r.now()) == nil || former != nil && former.mark == fresh.mark {
		return false // the first Set must have a key to sign with
	}
	r.loaded.Store(fresh)
	r.logChange(former, fresh)
	return true
}

// logChange logs changes that other nodes made.
func (r *Ring) logChange(former, fresh *Set) {
	if former == nil {
		return
	}
	now := r.now()
	for _, key := range former.all {
		end := r.times.end(former.all, key, r.alg, now)
		if key.revoked == nil && fresh.key(key.ID()) == nil && (end.IsZero() || now.Before(end)) {
			r.logger.Warn("a signing key is gone from storage before its time; its tokens are refused", zap.String("kid", key.ID()))
		}
	}
	was, is := signerAt(former.all, r.alg, now), signerAt(fresh.all, r.alg, now)
	switch {
	case is == nil:
		r.logger.Error("there is no key to sign with")
	case was == nil || was.ID() != is.ID():
		r.logger.Info("another key signs", zap.String("kid", is.ID()))
	}
}

// Set is the keys as they were read from storage. It does not change.
type Set struct {
	Public *token.KeySet   // the published keys
	JWKS   *oauth.Document // of the published keys
	Algs   []string        // of the published keys, each once

	all    []*storedKey // in the order in which they sign, including revoked ones
	mark   string       // differs between Sets that differ in anything
	broken []string     // the names of objects that cannot be read
}

func (s *Set) key(kid string) *storedKey {
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

func (r *Ring) snapshot(found *contents) *Set {
	now, all, broken := r.now(), found.keys, slices.Sorted(maps.Keys(found.broken))
	var published []*token.SigningKey
	var algs []string
	var mark strings.Builder
	fmt.Fprintln(&mark, broken)
	for _, key := range all {
		end := r.times.end(all, key, r.alg, now)
		public := key.revoked == nil && (end.IsZero() || !now.After(end))
		if public {
			published, algs = append(published, key.SigningKey), append(algs, string(key.Alg()))
		}
		fmt.Fprintf(&mark, "%s %x %t\n", key.ID(), sha256.Sum256(key.object), public)
	}
	slices.Sort(algs)
	set := token.NewKeySet(published...)
	return &Set{
		Public: set, JWKS: oauth.NewDocument(set.JWKS(), jwksContentType, r.times.MaxAge), Algs: slices.Compact(algs),
		all: all, mark: mark.String(), broken: broken,
	}
}
