package registry

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrUnavailable is wrapped by every error about a storage that cannot be read or written.
	ErrUnavailable = errors.New("the storage is not available")
	// ErrBroken is wrapped by an error about a single object that cannot be used while others can.
	ErrBroken = errors.New("the object is broken")
)

// InvalidError is the error about an entry or a registry file that breaks the rules. It never holds a secret.
type InvalidError struct {
	// Problems are what is wrong. Each begins with file:line:column if it is about a file.
	Problems []string
}

// Error returns the problems, one on each line.
func (e *InvalidError) Error() string { return strings.Join(e.Problems, "\n") }

// InUseError is the error about a change that would remove what grants name.
type InUseError struct {
	// What is the resource or the action that grants name.
	What string
	// By are the ids of clients with such grants, at most ten.
	By []string
}

// Error says what is in use, and by which clients.
func (e *InUseError) Error() string {
	return fmt.Sprintf("grants still name %s: of %s", e.What, strings.Join(e.By, ", "))
}

// ConflictError is the error about an identity that another client has too.
type ConflictError struct {
	// ClientID is the other client.
	ClientID string
	line     int // of its identity in the file
}

// Error names the other client.
func (e *ConflictError) Error() string {
	where := ""
	if e.line > 0 {
		where = fmt.Sprintf(" on line %d", e.line)
	}
	return fmt.Sprintf("an identity is of two clients: it overlaps one of client %s%s", quoted(e.ClientID), where)
}

// Change is what an entry was before a change and what it is after.
type Change struct {
	// Kind is "client" or "resource". ID is the client's id or the resource's code.
	Kind, ID string
	// Before and After are each a *Client or a *Resource, or nil if there was or is no such entry. Before is Broken if the
	// entry's object could not be used.
	Before, After any
}

// ClientChange returns the change of a client. A nil client does not exist; damage is why the client's object cannot be
// used, and nil if it can.
func ClientChange(id string, before *Client, damage error, after *Client) Change {
	return newChange("client", id, before, damage, after)
}

// ResourceChange returns the change of a resource, as ClientChange does for a client.
func ResourceChange(code string, before *Resource, damage error, after *Resource) Change {
	return newChange("resource", code, before, damage, after)
}

func newChange[T Client | Resource](kind, id string, before *T, damage error, after *T) Change {
	c := Change{Kind: kind, ID: id}
	if before != nil { // a nil pointer in an interface is not nil
		c.Before = before
	}
	if damage != nil {
		c.Before = Broken{Reason: damage.Error()}
	}
	if after != nil {
		c.After = after
	}
	return c
}

// Broken stands for an entry whose object cannot be used, so that its content is unknown.
type Broken struct {
	// Reason names the object and says what is wrong with it.
	Reason string
}

// Action returns "create", "update" or "delete", or "" if nothing changed.
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
