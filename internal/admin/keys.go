package admin

import (
	"errors"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
)

func viewKey(key keyring.Info) api.Key {
	return api.Key{
		KID: key.ID, Alg: key.Alg, State: string(key.State), Created: key.Created, SignsFrom: key.SignsFrom, Until: key.Until,
		Revoked: key.Revoked, RevokedReason: key.RevokedReason, Encrypted: key.Encrypted,
	}
}

func listKeys(a *request) error {
	keys := a.issuer.Keys
	if err := keys.Reload(a.r.Context()); err != nil {
		return err
	}
	if _, err := keys.Current(a.r.Context()); err != nil {
		return err
	}
	answer := api.KeyList{Keys: []api.Key{}, Problem: keys.Problem()}
	for _, key := range keys.List() {
		answer.Keys = append(answer.Keys, viewKey(key))
	}
	writeJSON(a.w, http.StatusOK, answer)
	return nil
}

func rotateKey(a *request) error {
	fields := a.optionalFields("a rotation", "now", "reason")
	now := fields.flag("now", false)
	reason, _ := fields.text("reason")
	reason = strings.TrimSpace(reason)
	switch {
	case fields.err != nil:
		return fields.err
	case len(reason) > api.MaxReason:
		return api.Invalid("reason is longer than %d bytes", api.MaxReason)
	case now && reason == "":
		return api.Invalid("reason is required with now: it says why the tokens issued so far stop working")
	case !now && reason != "":
		return api.Invalid("reason is accepted only with now")
	}
	if err := a.checkNoVersion(); err != nil {
		return err
	}
	keys := a.issuer.Keys
	if _, err := keys.Current(a.r.Context()); err != nil {
		return err
	}
	var done keyring.Rotation
	var err error
	if now {
		done, err = keys.Replace(a.r.Context(), reason)
	} else {
		done, err = keys.Rotate(a.r.Context())
	}
	a.issuer.TellKeys(a.r.Context())
	answer := a.auditKeys(done) // also what was done before an error
	if err != nil {
		if exists := new(keyring.NextExistsError); !errors.As(err, &exists) {
			a.issuer.Logger.Error("rotating the signing keys failed", zap.Error(err))
		}
		return err
	}
	writeJSON(a.w, http.StatusCreated, answer)
	return nil
}

// auditKeys records what a rotation did.
func (a *request) auditKeys(done keyring.Rotation) api.KeyRotation {
	var answer api.KeyRotation
	if done.Made != nil {
		answer.Key = viewKey(*done.Made)
		a.record("keys changed", audit.Change{Operation: "key.rotate", Kind: "key", ID: answer.Key.KID, Action: "create", After: answer.Key})
	}
	for _, key := range done.Revoked {
		answer.Revoked = append(answer.Revoked, key.After.ID)
		var before any
		if key.Before != nil {
			before = viewKey(*key.Before)
		}
		a.record("keys changed", audit.Change{Operation: "key.rotate", Kind: "key", ID: key.After.ID, Action: "update", Before: before, After: viewKey(key.After)})
	}
	return answer
}

func viewKeys(keys *keyring.Ring) api.KeysStatus {
	problem := keys.Problem() // once: it may change meanwhile
	v := api.KeysStatus{Active: keys.Revision(), Healthy: problem == "", Problem: problem}
	if loaded := keys.Loaded(); loaded != nil {
		v.Count = loaded.Public.Len()
	}
	for _, key := range keys.List() {
		if key.State == keyring.Next {
			v.Next = key.ID
		}
	}
	return v
}
