package api

import (
	"fmt"
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// Code says what kind of error an answer is.
type Code string

// The error codes.
const (
	CodeInvalid              Code = "invalid"
	CodeIssuerRequired       Code = "issuer_required"
	CodeNotFound             Code = "not_found"
	CodeNotConfigured        Code = "not_configured"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeExists               Code = "exists"
	CodeInUse                Code = "in_use"
	CodeReadOnly             Code = "read_only"
	CodeVersionConflict      Code = "version_conflict"
	CodeTooManySecrets       Code = "too_many_secrets"
	CodeTooLarge             Code = "too_large"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeUnavailable          Code = "unavailable"
)

var statuses = map[Code]int{
	CodeInvalid:              http.StatusBadRequest,
	CodeIssuerRequired:       http.StatusBadRequest,
	CodeNotFound:             http.StatusNotFound,
	CodeNotConfigured:        http.StatusNotFound,
	CodeMethodNotAllowed:     http.StatusMethodNotAllowed,
	CodeExists:               http.StatusConflict,
	CodeInUse:                http.StatusConflict,
	CodeReadOnly:             http.StatusConflict,
	CodeVersionConflict:      http.StatusConflict,
	CodeTooManySecrets:       http.StatusConflict,
	CodeTooLarge:             http.StatusRequestEntityTooLarge,
	CodeUnsupportedMediaType: http.StatusUnsupportedMediaType,
	CodeUnavailable:          http.StatusServiceUnavailable,
}

// Error is an answer that is an error. It never holds a secret.
type Error struct {
	Code     Code     `json:"error"`
	Message  string   `json:"message"`
	Problems []string `json:"problems,omitempty"`
	UsedBy   []string `json:"used_by,omitempty"`
	// Written are the changes of an apply that were made before it failed, and Total is how many there are.
	Written []Change `json:"written,omitempty"`
	Total   int      `json:"total,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// Status is the HTTP status of the error's code.
func (e *Error) Status() int { return statuses[e.Code] }

// Errorf makes an error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an error of the request.
func Invalid(format string, args ...any) *Error { return Errorf(CodeInvalid, format, args...) }

// NotFound makes an error of an entry that does not exist.
func NotFound(format string, args ...any) *Error { return Errorf(CodeNotFound, format, args...) }

// Masked returns the error without tokens and secrets, because messages repeat their input.
func (e *Error) Masked() *Error {
	masked := *e
	masked.Message, masked.Problems, masked.UsedBy = credential.Mask(e.Message), maskAll(e.Problems), maskAll(e.UsedBy)
	return &masked
}

func maskAll(texts []string) []string {
	var masked []string
	for _, text := range texts {
		masked = append(masked, credential.Mask(text))
	}
	return masked
}
