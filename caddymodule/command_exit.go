package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Exit codes of the commands that administer a server. 0 is done, and 1 whatever has no code of its own.
const (
	exitDifferent   = 2 // diff found differences
	exitNotFound    = 3
	exitConflict    = 4 // it exists, is in use, was changed meanwhile, or cannot be changed
	exitInvalid     = 5
	exitUnavailable = 6 // the server was not reached, its storage is away, or it is not healthy
)

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// wrong is an error of what was typed: it ends the command with the exit code for wrong input.
func wrong(format string, args ...any) error {
	return &exitError{exitInvalid, fmt.Errorf(format, args...)}
}

// exitWith has a command end with the exit code of an error.
func exitWith(cmd *cobra.Command, err error) error {
	var exit *exitError
	if !errors.As(err, &exit) || exit.code == 1 {
		return err // Caddy takes an exit code of 1 without an error for a success
	}
	cmd.SilenceErrors = true
	if text := exit.Error(); text != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "Error: "+text)
	}
	// the only way to an exit code of one's own
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return exit.code, nil })(cmd, nil)
}

func exitCodeOf(status int) int {
	switch status {
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict:
		return exitConflict
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return exitInvalid
	case http.StatusServiceUnavailable:
		return exitUnavailable
	}
	return 1
}
