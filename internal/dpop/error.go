package dpop

import (
	"errors"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// The error codes of RFC 9449 §12.2.
const (
	CodeInvalidProof = "invalid_dpop_proof"
	CodeUseNonce     = "use_dpop_nonce"
)

// ErrFull means that the memory has no room for another proof of an owner. It says nothing about the proof.
var ErrFull = errors.New("no room to remember another proof")

// Error says why a proof is refused. Nothing in it is from the proof.
type Error struct {
	// Code is CodeInvalidProof or CodeUseNonce.
	Code string
	// Reason is a short, stable code, finer than Code.
	Reason string
	// Description is for the client's developer.
	Description string
	// Nonce is for the DPoP-Nonce header of the answer if Code is CodeUseNonce.
	Nonce string
}

// Error returns code, reason and description.
func (e *Error) Error() string { return e.Code + ": " + e.Reason + ": " + e.Description }

func invalid(reason, description string) *Error {
	return &Error{Code: CodeInvalidProof, Reason: reason, Description: description}
}

// refused returns the Error for one of package token.
func refused(err error) *Error {
	var of *token.Error
	if !errors.As(err, &of) {
		return invalid("malformed", "the proof is not well-formed")
	}
	return invalid(string(of.Reason), strings.ReplaceAll(string(of.Reason), "_", " ")+": "+of.Detail)
}
