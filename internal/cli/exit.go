package cli

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// The exit codes of the commands. 0 is success, and 1 any other error.
const (
	exitDifferent   = 2 // diff or replay found differences, or explain a refusal
	exitNotFound    = 3
	exitConflict    = 4 // it exists, is in use, has changed meanwhile, or cannot be changed
	exitInvalid     = 5
	exitUnavailable = 6 // the server or its storage cannot be reached, or something is not healthy
	exitInterrupted = 130
)

// exitError is an error with an exit code of its own. An empty message prints nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// errDifferent ends a command that has printed the differences.
var errDifferent = &exitError{exitDifferent, errors.New("")}

// exit ends a command with the exit code of its error. Errors with a code go to standard error here: cobra prints only
// those that it returns, and Caddy gives them all the exit code 1.
func (h *Host) exit(cmd *cobra.Command, err error) error {
	code := exitCode(err)
	if code <= 1 {
		return err
	}
	cmd.SilenceErrors = true
	if text := err.Error(); text != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "Error: "+text)
	}
	return h.Exit(cmd, code)
}

func exitCode(err error) int {
	var exit *exitError
	var answer *api.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &answer):
		return exitCodeOf(answer.Status())
	}
	return 1
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
