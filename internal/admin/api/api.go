// Package api holds the wire types of the admin API, its limits and its error codes. The admin API answers with these
// types and the command line reads them; start at Client, Status, Explanation and Error. The package imports only
// leaves and the explanations of package policy. It builds nothing from an issuer or a door.
package api

import (
	"strings"
	"time"
)

// The limits of requests.
const (
	MaxBody      = 1 << 20  // bytes of a body
	MaxApplyBody = 64 << 20 // bytes of a registry file
	DefaultPage  = 100      // entries of a list without a limit
	MaxPage      = 1000
	MaxReason    = 500 // bytes of the reason for a rotation
)

// MaxAnswer is how many bytes of an answer a client reads. The answer to apply has each changed entry twice, before
// and after, and spells out more than a registry file does.
const MaxAnswer = 4 * MaxApplyBody

// Change is what apply changes, or would change. Before is nil for an entry that is created, and After for one that is
// deleted.
type Change struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Action string `json:"action"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

// Applied is the answer of apply.
type Applied struct {
	Changes []Change `json:"changes"`
	DryRun  bool     `json:"dry_run"`
}

// TypeLines is the media type of an answer to apply that takes long, if the client accepts it: lines of JSON, each a Line.
const TypeLines = "application/x-ndjson"

// Line is a line of such an answer. It has one of the fields. The last line has Applied or Failed.
type Line struct {
	Progress *Progress `json:"progress,omitempty"`
	Applied  *Applied  `json:"applied,omitempty"`
	Failed   *Error    `json:"failed,omitempty"`
}

// Progress is how far an apply is.
type Progress struct {
	Doing string `json:"doing"` // comparing or writing
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// Revocation is a revocation of one token, or of the tokens that a client was issued up to a moment.
type Revocation struct {
	JTI      string    `json:"jti,omitempty"`
	ClientID string    `json:"client_id,omitempty"`
	Before   time.Time `json:"before,omitzero"`
	Expires  time.Time `json:"expires"`
}

// CreatedRevocation is the answer to a revocation. KnownClient tells a deleted client, whose tokens may still be valid,
// from a mistyped one; it is nil for a token.
type CreatedRevocation struct {
	Revocation
	KnownClient *bool `json:"known_client,omitempty"`
}

// RevocationList is a page of the revocations in force.
type RevocationList struct {
	Count       int          `json:"count"` // on all pages
	Revocations []Revocation `json:"revocations"`
	Next        string       `json:"next,omitempty"`
}

// LooksLikeToken reports whether a text is a token rather than the ID of one.
func LooksLikeToken(text string) bool {
	return strings.HasPrefix(text, "eyJ") || strings.Count(text, ".") == 2 && len(text) > 100
}

// RouteList is all routes of the API.
type RouteList struct {
	Description string  `json:"description"`
	Routes      []Route `json:"routes"`
}

// Route is a route of the API, with the query parameters that it takes.
type Route struct {
	Method string   `json:"method"`
	Path   string   `json:"path"`
	Query  []string `json:"query,omitempty"`
}

// OrEmpty returns list, or an empty list for nil: JSON then has [] in place of null.
func OrEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// OrEmptyMap returns m, or an empty map for nil: JSON then has {} in place of null.
func OrEmptyMap(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
