package policy

import (
	"cmp"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// dependencies are what the decisions of a query depend on, apart from the policy and its data.
type dependencies struct {
	input reads
	key   keyParts // what of it is in keys
	// varies is the first call whose value may be another one each time. It is nil if equal inputs give equal decisions.
	varies *call
}

// call is a call of a builtin function in a rule.
type call struct {
	at      *ast.Location
	rule    string // with its package
	builtin string
}

// String returns the call on one line, such as "hours.rego:12: rule m2m.token.rejected calls time.now_ns".
func (c *call) String() string { return at(c.at) + "rule " + c.rule + " calls " + c.builtin }

// compare orders calls by their places. Those of authors come first, because authors can change them.
func (c *call) compare(other *call) int {
	if mine, theirs := isShipped(c.at.File), isShipped(other.at.File); mine != theirs {
		if mine {
			return 1
		}
		return -1
	}
	return cmp.Or(c.at.Compare(other.at), strings.Compare(c.builtin, other.builtin))
}

// dependenciesOf returns the dependencies of a query. It follows each reference of the compiled rules to every rule that the
// reference may reach, also to functions, and to what a "with" sets and replaces. A rule below a "with" may see another input;
// what it reads of that counts as read of the real one. So the result may hold too much, and never too little.
func dependenciesOf(compiler *ast.Compiler, q *query, written map[string]bool) *dependencies {
	f := follower{compiler: compiler, found: new(dependencies), seen: make(map[*ast.Rule]bool)}
	for _, rule := range q.rules {
		if written[q.path+"."+rule] {
			f.ref(ast.MustParseRef(q.path + "." + rule))
		}
	}
	for len(f.todo) > 0 {
		f.rule = f.todo[len(f.todo)-1]
		f.todo = f.todo[:len(f.todo)-1]
		f.walk(f.rule)
	}
	f.found.key = keyPartsOf(&f.found.input)
	return f.found
}

// follower follows the references of rules.
type follower struct {
	compiler *ast.Compiler
	found    *dependencies
	seen     map[*ast.Rule]bool
	todo     []*ast.Rule
	rule     *ast.Rule // that is walked now
}

func (f *follower) walk(x any) { ast.NewGenericVisitor(f.visit).Walk(x) }

// visit takes what a node depends on. It returns true if the visitor is not to visit the parts of the node.
func (f *follower) visit(x any) bool {
	switch x := x.(type) {
	case *ast.Head:
		f.head(x)
		return true
	case *ast.Expr:
		if x.IsCall() {
			f.call(x.Operator(), x.Location)
		}
	case *ast.With:
		if x.Target.Value.Compare(ast.InputRootRef) == 0 { // replaces all, and so depends on none of it
			f.walk(x.Value)
			return true
		}
	case ast.Call:
		if operator, ok := x[0].Value.(ast.Ref); ok {
			f.call(operator, x[0].Location)
		}
	case ast.Ref:
		f.ref(x)
		for _, term := range x[1:] {
			f.walk(term)
		}
		return true
	case ast.Var: // outside of a reference
		f.ref(ast.Ref{ast.NewTerm(x)})
	}
	return false
}

// head leaves out the name of the rule, which may be that of a builtin function.
func (f *follower) head(head *ast.Head) {
	f.walk(head.Args)
	for _, term := range []*ast.Term{head.Key, head.Value} {
		if term != nil {
			f.walk(term)
		}
	}
	if len(head.Reference) > 1 {
		for _, term := range head.Reference[1:] {
			f.walk(term)
		}
	}
}

// ref follows a reference to the input, to rules, or to a builtin function that a "with" names. Others begin with a local
// variable.
func (f *follower) ref(ref ast.Ref) {
	switch head, _ := ref[0].Value.(ast.Var); head {
	case ast.InputRootDocument.Value:
		f.found.input.add(ref[1:])
	case ast.DefaultRootDocument.Value:
		for _, rule := range f.compiler.GetRulesDynamicWithOpts(ref, ast.RulesOptions{IncludeHiddenModules: true}) {
			if !f.seen[rule] {
				f.seen[rule] = true
				f.todo = append(f.todo, rule)
			}
		}
	default:
		if builtins()[ref.String()] {
			f.call(ref, ref[0].Location)
		}
	}
}

// call takes the call of a builtin function; visit has followed that of a rule. One that is not known is impure.
func (f *follower) call(operator ast.Ref, location *ast.Location) {
	name := operator.String()
	if operator.HasPrefix(ast.DefaultRootRef) || pure[name] {
		return
	}
	if location == nil || location.File == "" {
		location = f.rule.Location
	}
	found := &call{location, strings.TrimPrefix(rulePath(f.rule.Module, f.rule), "data."), name}
	if f.found.varies == nil || found.compare(f.found.varies) < 0 {
		f.found.varies = found
	}
}

// builtins holds the names of all builtin functions, also of those that policies do not have.
var builtins = sync.OnceValue(func() map[string]bool {
	names := make(map[string]bool)
	for _, builtin := range ast.Builtins {
		names[builtin.Name] = true
	}
	for _, builtin := range capabilities().Builtins {
		names[builtin.Name] = true
	}
	return names
})
