package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

func (k *keyring) view(all []*issuerKey, key *issuerKey) api.Key {
	now := k.now()
	v := api.Key{
		KID: key.ID(), Alg: string(key.Alg()), State: string(stateAt(all, key, k.alg, now)), Created: key.created.UTC(),
		SignsFrom: key.signsFrom.UTC(), Encrypted: key.SigningKey != nil && key.sealedBy != unsealed,
	}
	if until := k.times.until(all, key, k.alg, now); !until.IsZero() {
		v.Until = until.UTC()
	}
	if key.revoked != nil {
		v.Revoked, v.RevokedReason = key.revoked.At.UTC(), key.revoked.Reason
	}
	return v
}

func listKeys(a *adminRequest) error {
	keys := a.issuer.keys
	if _, err := keys.refresh(a.r.Context(), false); err != nil {
		if problem := keys.problem.Load(); problem == nil || problem.away {
			return err
		}
	}
	loaded, err := keys.current(a.r.Context())
	if err != nil {
		return err
	}
	answer := api.KeyList{Keys: []api.Key{}, Problem: keys.Problem()}
	for _, key := range loaded.all {
		answer.Keys = append(answer.Keys, keys.view(loaded.all, key))
	}
	writeAdminJSON(a.w, http.StatusOK, answer)
	return nil
}

func rotateKey(a *adminRequest) error {
	fields, err := a.optionalFields("a rotation", "now", "reason")
	if err != nil {
		return err
	}
	now, err := fields.flag("now", false)
	if err != nil {
		return err
	}
	reason, _, err := fields.text("reason")
	reason = strings.TrimSpace(reason)
	switch {
	case err != nil:
		return err
	case len(reason) > api.MaxReason:
		return api.Invalid("reason is longer than %d bytes", api.MaxReason)
	case now && reason == "":
		return api.Invalid("reason is required with now: it says why tokens that are out stop to work")
	case !now && reason != "":
		return api.Invalid("reason is taken with now alone")
	}
	if err := a.checkNoVersion(); err != nil {
		return err
	}
	keys := a.issuer.keys
	if _, err := keys.current(a.r.Context()); err != nil {
		return err
	}
	var done rotated
	if now {
		done, err = keys.replace(a.r.Context(), reason)
	} else {
		done, err = keys.rotate(a.r.Context())
	}
	a.issuer.tellKeys(a.r.Context())
	answer := a.auditKeys(done) // also of what was done before an error
	if err != nil {
		if exists := new(nextExistsError); !errors.As(err, &exists) {
			a.issuer.logger.Error("rotating the signing keys failed", zap.Error(err))
		}
		return err
	}
	writeAdminJSON(a.w, http.StatusCreated, answer)
	return nil
}

// auditKeys records what a rotation has done.
func (a *adminRequest) auditKeys(done rotated) api.KeyRotation {
	keys := a.issuer.keys
	loaded := keys.loaded.Load()
	var answer api.KeyRotation
	if done.made != nil {
		answer.Key = keys.view(loaded.all, orSame(loaded.key(done.made.ID()), done.made))
		a.record("keys changed", "key.rotate", "key", answer.Key.KID, "create", nil, answer.Key)
	}
	for _, former := range done.revoked {
		answer.Revoked = append(answer.Revoked, former.ID())
		var before any
		if slices.Contains(done.former, former) {
			before = keys.view(done.former, former)
		}
		after := keys.view(loaded.all, orSame(loaded.key(former.ID()), former))
		a.record("keys changed", "key.rotate", "key", former.ID(), "update", before, after)
	}
	return answer
}

// orSame is the key as it is loaded, or as it was made where it could not be loaded again.
func orSame(loaded, made *issuerKey) *issuerKey {
	if loaded == nil {
		return made
	}
	return loaded
}

func viewKeys(k *keyring) api.KeysStatus {
	v := api.KeysStatus{Active: k.Revision(), Healthy: k.Healthy(), Problem: k.Problem()}
	loaded := k.loaded.Load()
	if loaded == nil {
		return v
	}
	v.Count = loaded.public.Len()
	for _, key := range loaded.all {
		if stateAt(loaded.all, key, k.alg, k.now()) == keyNext {
			v.Next = key.ID()
		}
	}
	return v
}
