package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// maxWatched bounds the number of queries and values that a witness records, and so its memory. A decision with so many
// would take longer than a request should.
const maxWatched = 500_000

// witness is a tracer that records which rules gave the rules of a contract their values. For a set these are all rules
// that gave a member. For a document with one value, such as claims.team, it is the first rule that gave the value,
// because evaluation ends with it.
type witness struct {
	contract contract
	queries  map[uint64]*watchedQuery
	seen     map[sight][]sighting
	sights   int
	limit    int
	blind    bool // there was too much to record, so nothing is reported
}

// watchedQuery is a query or the body of a rule.
type watchedQuery struct {
	// assumes says that it is evaluated under a "with", directly or further up. The values of its rules are not part of
	// the decision.
	assumes bool
	// with says that its current expression has a "with".
	with bool
}

// sight is a rule of the contract, and the hash of a value that it has.
type sight struct {
	rule string
	hash int
}

type sighting struct {
	value ast.Value
	rule  *ast.Rule
}

func newWitness(path string) *witness {
	return &witness{contract: contracts[path], queries: make(map[uint64]*watchedQuery), seen: make(map[sight][]sighting), limit: maxWatched}
}

// Enabled, Config and TraceEvent implement OPA's tracer.
func (*witness) Enabled() bool { return true }

func (*witness) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

func (w *witness) TraceEvent(event topdown.Event) {
	if w.blind {
		return
	}
	query := w.follow(event)
	rule, isRule := event.Node.(*ast.Rule)
	if isRule && event.Op == topdown.ExitOp && !query.assumes && packageOf(rule.Module) == w.contract.path {
		name := ruleName(rule)
		if _, asked := w.contract.rules[name]; asked {
			w.note(name, event.Plug(given(rule, name)).Value, rule)
		}
	}
	if len(w.queries)+w.sights > w.limit {
		*w = witness{blind: true}
	}
}

// follow records which queries are evaluated under a "with".
func (w *witness) follow(event topdown.Event) *watchedQuery {
	query := w.queries[event.QueryID]
	if query == nil {
		query = new(watchedQuery)
		if parent := w.queries[event.ParentID]; parent != nil {
			query.assumes = parent.assumes || parent.with
		}
		w.queries[event.QueryID] = query
	}
	if expr, ok := event.Node.(*ast.Expr); ok && (event.Op == topdown.EvalOp || event.Op == topdown.RedoOp) {
		query.with = len(expr.With) > 0
	}
	return query
}

// given returns what a rule adds: a member of a set, or a name in an object.
func given(rule *ast.Rule, name string) *ast.Term {
	if objects[name] {
		return rule.Head.Ref()[1]
	}
	return rule.Head.Key
}

func (w *witness) note(name string, value ast.Value, rule *ast.Rule) {
	at := sight{name, value.Hash()}
	if !slices.ContainsFunc(w.seen[at], func(s sighting) bool { return s.rule == rule && s.value.Compare(value) == 0 }) {
		w.seen[at] = append(w.seen[at], sighting{value, rule})
		w.sights++
	}
}
