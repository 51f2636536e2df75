package registry

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrExists is for an edit function to say that what it was to create is there.
	ErrExists = errors.New("it exists already")
	// ErrUnavailable is wrapped by every error of a storage that cannot be read or written now.
	ErrUnavailable = errors.New("the storage is not available")
)

// InvalidError is an entry, or a registry file, that the rules refuse. It never holds a secret.
type InvalidError struct {
	// Problems say what is wrong, one each, with file:line:column where there is a file.
	Problems []string
}

// Error joins the problems.
func (e *InvalidError) Error() string { return strings.Join(e.Problems, "\n") }

// InUseError is a change that would leave grants on what is no longer there.
type InUseError struct {
	// What is the resource, or the action of it, that grants name.
	What string
	// By are ids of clients with such grants, ten at most.
	By []string
}

// Error names what is in use, and by which clients.
func (e *InUseError) Error() string {
	return fmt.Sprintf("grants still name %s: of %s", e.What, strings.Join(e.By, ", "))
}

// Change is what one entry was and is.
type Change struct {
	// Kind is "client" or "resource", ID the client's id or the resource's code.
	Kind, ID string
	// Before and After are a *Client or a *Resource each; nil where there was, or is, none. Before is
	// Broken where there was one whose object could not be used.
	Before, After any
}

// Broken stands for an entry whose object cannot be used: nobody knows what it was.
type Broken struct {
	// Reason names the object, and says what is wrong with it.
	Reason string
}

// Action is "create", "update" or "delete", or "" when nothing changed.
func (c Change) Action() string {
	switch {
	case c.Before == nil && c.After == nil:
		return ""
	case c.Before == nil:
		return "create"
	case c.After == nil:
		return "delete"
	case VersionOf(c.Before) != VersionOf(c.After):
		return "update"
	}
	return ""
}
