package keyring

import (
	"context"
	"slices"
	"time"
)

// Info describes a key without its key material.
type Info struct {
	ID            string
	Alg           string // empty if only the key's revocation is known
	State         State
	Created       time.Time
	SignsFrom     time.Time
	Until         time.Time // when the key is deleted, or zero while no other key takes its place
	Revoked       time.Time // zero if the key is not revoked
	RevokedReason string
	Encrypted     bool
}

func (r *Ring) info(all []*storedKey, key *storedKey) Info {
	now := r.now()
	info := Info{
		ID: key.ID(), Alg: string(key.Alg()), State: stateAt(all, key, r.alg, now), Created: key.created.UTC(),
		SignsFrom: key.signsFrom.UTC(), Encrypted: key.SigningKey != nil && key.sealedBy != unsealed,
	}
	if end := r.times.end(all, key, r.alg, now); !end.IsZero() {
		info.Until = end.UTC()
	}
	if key.revoked != nil {
		info.Revoked, info.RevokedReason = key.revoked.At.UTC(), key.revoked.Reason
	}
	return info
}

// List describes the loaded keys in the order in which they sign.
func (r *Ring) List() []Info {
	loaded := r.loaded.Load()
	if loaded == nil {
		return nil
	}
	list := make([]Info, len(loaded.all))
	for n, key := range loaded.all {
		list[n] = r.info(loaded.all, key)
	}
	return list
}

// Revision returns the ID of the key that signs, or "" if none is loaded.
func (r *Ring) Revision() string {
	if loaded := r.loaded.Load(); loaded != nil {
		if signer := signerAt(loaded.all, r.alg, r.now()); signer != nil {
			return signer.ID()
		}
	}
	return ""
}

// Healthy reports whether the last read found the loaded keys, and whether what was due could be done.
func (r *Ring) Healthy() bool { return r.Problem() == "" }

// Problem returns why the keys are not healthy, or "" if they are.
func (r *Ring) Problem() string {
	if problem := r.problem.Load(); problem != nil {
		return problem.text
	}
	return ""
}

// RevokedUntil returns the revoked keys of a Set, and the Unix times until which their tokens must be refused.
func (r *Ring) RevokedUntil(keys *Set) map[string]int64 {
	all := make(map[string]int64)
	for _, key := range keys.all {
		if key.revoked != nil {
			all[key.ID()] = r.times.end(keys.all, key, r.alg, r.now()).Unix()
		}
	}
	return all
}

// Stored reports whether storage has one of the loaded keys. Before any are loaded Stored is true.
func (r *Ring) Stored(ctx context.Context) bool {
	loaded := r.loaded.Load()
	return loaded == nil || r.HasAny(ctx, loaded)
}

// HasAny reports whether storage has one of the keys.
func (r *Ring) HasAny(ctx context.Context, keys *Set) bool {
	return slices.ContainsFunc(keys.all, func(key *storedKey) bool { return r.storage.Exists(ctx, r.nameOf(key.ID())) })
}
