package replay

import "sync"

// Kind is what would be different.
type Kind string

// The kinds of a [Change].
const (
	// Loses is a scope that was granted and would not be.
	Loses Kind = "loses"
	// Gains is a scope that was not granted and would be.
	Gains Kind = "gains"
	// Claim is another value of a token's claim; "" is none.
	Claim Kind = "claim"
	// TTL is another lifetime that the policy allows, in seconds; "" is none.
	TTL Kind = "ttl"
	// Denied is a proxied request that was let through and would not be, by its route.
	Denied Kind = "denied"
	// Allowed is a proxied request that was refused and would be let through.
	Allowed Kind = "allowed"
	// Header is another value of a header for the upstream; "" is none.
	Header Kind = "header"
)

// Change is one difference for a client, in a number of decisions.
type Change struct {
	// Client is the client_id; empty when it is masked.
	Client string `json:"client"`
	Kind   Kind   `json:"change"`
	// What is the scope, the name of the claim or header, or the route.
	What string `json:"what,omitempty"`
	// Count is in how many decisions, and Uncertain in how many of those something is masked.
	Count     int `json:"count"`
	Uncertain int `json:"uncertain,omitempty"`
	// Reasons are the candidate's for a loss or denial, with their counts; "…" are all others.
	Reasons map[string]int `json:"reasons,omitempty"`
	// Before and After are the values of the example.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Example is the ID of the first such decision, and Where its line.
	Example string `json:"example"`
	Where   string `json:"where"`

	first place
}

// Failure is one kind of errors of the candidate, which are answered with 503.
type Failure struct {
	// Kind is a [policy.Kind], or claims for claims that no token may have.
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	// Error is that of the example.
	Error   string `json:"error"`
	Example string `json:"example"`
	Where   string `json:"where"`

	first place
}

// Problem is a line that looks like a decision but cannot be read.
type Problem struct {
	Where string `json:"where"`
	Error string `json:"error"`

	first place
}

// Totals counts decisions, and other lines.
type Totals struct {
	// Decisions are all that were logged: those below, but Uncertain, which is among them.
	Decisions int `json:"decisions"`
	// Same would be as they were, and Changed not.
	Same    int `json:"same"`
	Changed int `json:"changed"`
	// Failed are those that the candidate failed to make.
	Failed int `json:"failed"`
	// Masked are masked so far that they cannot be made again.
	Masked int `json:"masked"`
	// Cut cannot be made again, because their lines were cut.
	Cut int `json:"cut"`
	// Uncertain were made again, and something in them is masked.
	Uncertain int `json:"uncertain"`
	// Unreadable are lines that are no JSON, or decisions that are malformed.
	Unreadable int `json:"unreadable"`
	// Other are all other lines.
	Other int `json:"other"`
}

// Report is what would change.
type Report struct {
	// Revision is that of the candidate.
	Revision string `json:"revision"`
	Totals   Totals `json:"totals"`
	// Changes are by client, kind and what.
	Changes []*Change `json:"changes"`
	// Unlisted is how many changes there was no more room for.
	Unlisted int        `json:"unlisted,omitempty"`
	Failures []*Failure `json:"failures"`
	// Problems are the first unreadable lines.
	Problems []Problem `json:"problems"`

	mu       sync.Mutex
	changes  map[changeKey]*Change
	failures map[string]*Failure
	late     int // decisions in a row that were not made in time
}

func newReport() *Report {
	return &Report{
		Changes: []*Change{}, Failures: []*Failure{}, Problems: []Problem{},
		changes: make(map[changeKey]*Change), failures: make(map[string]*Failure),
	}
}

// IsDifferent reports whether any decision would be different, or fail.
func (r *Report) IsDifferent() bool { return r.Totals.Changed+r.Totals.Failed > 0 }
