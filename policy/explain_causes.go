package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// maxRecorded bounds the number of queries and values that an originTracer records, and so its memory. A decision with
// so many would take longer than a request should.
const maxRecorded = 500_000

// originTracer records which rules gave the rules of a contract their values. For a set these are all rules that gave a
// member. For a document with one value, such as claims.team, it is the first rule that gave the value, because
// evaluation ends with it.
type originTracer struct {
	tracer
	contract contract
	queries  map[uint64]*watchedQuery
	origins  map[contractValue][]origin
	count    int // of origins
	limit    int
	overflow bool // there was too much to record, so nothing is reported
}

// watchedQuery is a query or the body of a rule.
type watchedQuery struct {
	// assumes says that it is evaluated under a "with", directly or further up. The values of its rules are not part of
	// the decision.
	assumes bool
	// with says that its current expression has a "with".
	with bool
}

// contractValue is a rule of the contract, and the hash of a value that it has.
type contractValue struct {
	rule string
	hash int
}

// origin is a rule that gave a value.
type origin struct {
	value ast.Value
	rule  *ast.Rule
}

func newOriginTracer(path string) *originTracer {
	return &originTracer{contract: contracts[path], queries: make(map[uint64]*watchedQuery), origins: make(map[contractValue][]origin), limit: maxRecorded}
}

// TraceEvent implements OPA's tracer.
func (t *originTracer) TraceEvent(event topdown.Event) {
	if t.overflow {
		return
	}
	query := t.follow(event)
	rule, isRule := event.Node.(*ast.Rule)
	if isRule && event.Op == topdown.ExitOp && !query.assumes && packageOf(rule.Module) == t.contract.path {
		name := ruleName(rule)
		if _, asked := t.contract.rules[name]; asked {
			t.record(name, event.Plug(given(rule, name)).Value, rule)
		}
	}
	if len(t.queries)+t.count > t.limit {
		*t = originTracer{overflow: true}
	}
}

// follow records which queries are evaluated under a "with".
func (t *originTracer) follow(event topdown.Event) *watchedQuery {
	query := t.queries[event.QueryID]
	if query == nil {
		query = new(watchedQuery)
		if parent := t.queries[event.ParentID]; parent != nil {
			query.assumes = parent.assumes || parent.with
		}
		t.queries[event.QueryID] = query
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

func (t *originTracer) record(name string, value ast.Value, rule *ast.Rule) {
	at := contractValue{name, value.Hash()}
	if !slices.ContainsFunc(t.origins[at], func(o origin) bool { return o.rule == rule && o.value.Compare(value) == 0 }) {
		t.origins[at] = append(t.origins[at], origin{value, rule})
		t.count++
	}
}

// Cause is a rule that gave a value to a rule of the contract.
type Cause struct {
	// Rule is the rule of the contract: granted, rejected and so on.
	Rule string `json:"rule"`
	// Reason is the reason that the rule gave, where it gives one.
	Reason string `json:"reason,omitempty"`
	// File and Line say where the rule begins. They are empty if it is not known which rule it was. Shipped rules have
	// names such as shipped://token.rego.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Text is the rule's first line.
	Text string `json:"text,omitempty"`
}

// causes returns the rules that gave a value, by file and line. If none was seen, the only cause has no place.
func (t *originTracer) causes(name string, value ast.Value, reason string) []Cause {
	var causes []Cause
	for _, o := range t.origins[contractValue{name, value.Hash()}] {
		if o.value.Compare(value) != 0 {
			continue
		}
		cause := Cause{Rule: name, Reason: reason}
		if location := o.rule.Location; location != nil {
			cause.File, cause.Line = location.File, location.Row
			cause.Text, _, _ = strings.Cut(string(location.Text), "\n")
		}
		causes = append(causes, cause)
	}
	if causes == nil {
		return []Cause{{Rule: name, Reason: reason}}
	}
	slices.SortFunc(causes, func(a, b Cause) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return slices.Compact(causes) // a rule with several bodies is several rules
}
