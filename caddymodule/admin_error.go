package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// adminError is an answer that is an error. It never holds a secret.
type adminError struct {
	status   int
	Code     string   `json:"error"`
	Message  string   `json:"message"`
	Problems []string `json:"problems,omitempty"`
	UsedBy   []string `json:"used_by,omitempty"`
}

func (e *adminError) Error() string { return e.Message }

func invalid(format string, args ...any) *adminError {
	return &adminError{status: http.StatusBadRequest, Code: "invalid", Message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *adminError {
	return &adminError{status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf(format, args...)}
}

// conflict is an error of what is there, and not of the request.
func conflict(code, format string, args ...any) *adminError {
	return &adminError{status: http.StatusConflict, Code: code, Message: fmt.Sprintf(format, args...)}
}

func tooLarge(limit int64) *adminError {
	return &adminError{status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("the body is larger than %d MiB", limit>>20)}
}

// adminErrorOf gives errors of the registry their codes.
func adminErrorOf(err error) *adminError {
	var known *adminError
	var wrong *registry.InvalidError
	var inUse *registry.InUseError
	var nextExists *nextExistsError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &wrong):
		return &adminError{status: http.StatusBadRequest, Code: "invalid", Message: err.Error(), Problems: wrong.Problems}
	case errors.As(err, &inUse):
		return &adminError{status: http.StatusConflict, Code: "in_use", Message: err.Error(), UsedBy: inUse.By}
	case errors.As(err, &nextExists):
		return conflict("exists", "%s", err)
	case errors.Is(err, registry.ErrNotFound):
		return notFound("not in the registry")
	case errors.Is(err, registry.ErrExists):
		return conflict("exists", "it exists already")
	}
	return &adminError{status: http.StatusServiceUnavailable, Code: "unavailable", Message: err.Error()}
}

func writeAdminError(w http.ResponseWriter, err error) {
	e := adminErrorOf(err).withoutSecrets()
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	writeAdminJSON(w, e.status, e)
}

// withoutSecrets masks tokens and secrets, because messages repeat their input.
func (e *adminError) withoutSecrets() *adminError {
	masked := *e
	masked.Message = credential.Mask(e.Message)
	masked.Problems, masked.UsedBy = maskAll(e.Problems), maskAll(e.UsedBy)
	return &masked
}

func maskAll(texts []string) []string {
	var masked []string
	for _, text := range texts {
		masked = append(masked, credential.Mask(text))
	}
	return masked
}

func writeAdminJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever asked has gone
}
