package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// ErrorOf returns an error of the registry or the keyring with its code.
func ErrorOf(err error) *api.Error {
	var known *api.Error
	var wrong *registry.InvalidError
	var inUse *registry.InUseError
	var conflict *registry.ConflictError
	var nextExists *keyring.NextExistsError
	var partly *store.PartlyAppliedError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &partly):
		return &api.Error{Code: api.CodeUnavailable, Message: err.Error(), Written: viewChanges(partly.Written), Total: partly.Total}
	case errors.As(err, &wrong):
		return &api.Error{Code: api.CodeInvalid, Message: err.Error(), Problems: wrong.Problems}
	case errors.As(err, &inUse):
		return &api.Error{Code: api.CodeInUse, Message: err.Error(), UsedBy: inUse.By}
	case errors.As(err, &conflict):
		return &api.Error{Code: api.CodeExists, Message: err.Error(), UsedBy: []string{conflict.ClientID}}
	case errors.As(err, &nextExists):
		return api.Errorf(api.CodeExists, "%s", err)
	case errors.Is(err, registry.ErrNotFound):
		return api.NotFound("not in the registry")
	}
	return api.Errorf(api.CodeUnavailable, "%s", err)
}

func writeError(w http.ResponseWriter, err error) {
	e := ErrorOf(err).Masked()
	if e.Status() == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	writeJSON(w, e.Status(), e)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has gone
}
