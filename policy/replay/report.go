package replay

import "sync"

// Kind is the kind of a [Change].
type Kind string

// The kinds of changes.
const (
	Loses   Kind = "loses"   // a scope that was granted would not be granted
	Gains   Kind = "gains"   // a scope that was not granted would be granted
	Claim   Kind = "claim"   // a claim of a token would have another value; "" stands for no claim
	TTL     Kind = "ttl"     // the policy would allow another lifetime, in seconds; "" stands for none
	Denied  Kind = "denied"  // a proxied request that was let through would be refused
	Allowed Kind = "allowed" // a proxied request that was refused would be let through
	Header  Kind = "header"  // a header for the upstream would have another value; "" stands for no header
)

// Change is one difference for a client, in a number of decisions.
type Change struct {
	// Client is the client_id; empty when it is masked.
	Client string `json:"client"`
	Kind   Kind   `json:"change"`
	// What is the scope, the name of the claim or header, or the route.
	What string `json:"what,omitempty"`
	// Count is the number of decisions, and Uncertain the number of those in which something is masked.
	Count     int `json:"count"`
	Uncertain int `json:"uncertain,omitempty"`
	// Reasons are the candidate's reasons for a loss or denial, with their counts; "…" stands for all others.
	Reasons map[string]int `json:"reasons,omitempty"`
	// Before and After are the values of the example.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Example is the ID of the first such decision, and Where its line.
	Example string `json:"example"`
	Where   string `json:"where"`

	first position
}

// Failure is a kind of error of the candidate. A server answers such an error with 503.
type Failure struct {
	// Kind is a [policy.Kind], or "claims" for claims that a token cannot have.
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	// Error is the error of the example.
	Error   string `json:"error"`
	Example string `json:"example"`
	Where   string `json:"where"`

	first position
}

// Problem is a line that looks like a decision but cannot be read.
type Problem struct {
	Where string `json:"where"`
	Error string `json:"error"`

	first position
}

// Totals counts decisions and other lines. Decisions is the sum of Same, Changed, Failed, Masked and Cut.
type Totals struct {
	Decisions  int `json:"decisions"`
	Same       int `json:"same"`
	Changed    int `json:"changed"`
	Failed     int `json:"failed"`     // the candidate failed to decide
	Masked     int `json:"masked"`     // cannot be made again, because too much is masked
	Cut        int `json:"cut"`        // cannot be made again, because their lines were cut
	Uncertain  int `json:"uncertain"`  // were made again, although something in them is masked
	Unreadable int `json:"unreadable"` // lines that are not JSON, or decisions that are malformed
	Other      int `json:"other"`      // all other lines
}

// Report is what would change.
type Report struct {
	Revision string     `json:"revision"` // of the candidate
	Totals   Totals     `json:"totals"`
	Changes  []*Change  `json:"changes"`            // sorted by client, kind and what
	Unlisted int        `json:"unlisted,omitempty"` // number of changes beyond those that the report has room for
	Failures []*Failure `json:"failures"`
	Problems []Problem  `json:"problems"` // the first unreadable lines

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
