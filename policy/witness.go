package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// maxWatched bounds the memory of a witness: how many queries and values it keeps in mind. A decision
// of so many takes longer than a request should.
const maxWatched = 500_000

// witness watches an evaluation, and notes which rules gave the rules of a contract their values. Of
// a set these are all rules that gave a member. A document with one value, such as claims.team, is
// done with the first rule that gives it; that one is noted, for so it was decided.
type witness struct {
	contract contract
	queries  map[uint64]*watchedQuery
	seen     map[sight][]sighting
	sights   int
	limit    int
	blind    bool // there was too much to see, and so nothing is told
}

// watchedQuery is a query or the body of a rule.
type watchedQuery struct {
	// assumes says that it is evaluated under a "with", be it far above: what rules give there is no
	// part of the decision.
	assumes bool
	// with says that the expression that it is at has a "with".
	with bool
}

// sight is a rule of the contract, and the hash of a value that it was given.
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

// Enabled, Config and TraceEvent are what OPA asks of a tracer.
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

// follow keeps in mind which queries assume something.
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

// given is what a rule adds: a member of a set, or a name of an object.
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
