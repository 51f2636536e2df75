package policy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	shipped "github.com/caddy-m2m/caddy-m2m/rego"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// scopePackage is the package of the functions that Go computes in place of Rego. They are Rego to authors, to OPA's tools
// and in tests. Only the compiled policy of an engine calls Go.
const scopePackage = "data.m2m.scope"

// native computes a function of scopePackage. It returns false for arguments that it leaves to Rego: those that are not
// of the usual form. So Rego alone says what the function is for these.
type native func(c *evalContext, args []*ast.Term) (*ast.Term, bool)

// natives holds the functions of scopePackage by name, and nativeArity the number of their arguments.
var natives = map[string]native{
	"parse":             nativeParse,
	"covers":            nativeCovers,
	"overlaps":          nativeOverlaps,
	"grant_covers":      nativeGrantCovers,
	"grant_overlaps":    nativeGrantOverlaps,
	"identifier_covers": nativeIdentifierCovers,
	"covered":           nativeCovered,
	"denied":            nativeDenied,
	"unknown_resource":  nativeUnknownResource,
	"unknown_action":    nativeUnknownAction,
}

// nativeBuiltins returns the natives as OPA's builtin functions. Capabilities do not have them, so that policies cannot
// call them by name: useNatives puts them in the place of calls that have been checked.
var nativeBuiltins = sync.OnceValue(func() map[string]*topdown.Builtin {
	all := make(map[string]*topdown.Builtin)
	for name, function := range natives {
		builtin := nativeBuiltin(name, function)
		all[builtin.Decl.Name] = builtin
	}
	return all
})

// nativeName returns the name of a native among builtin functions. A single word is looked up faster than a path.
func nativeName(function string) string { return "m2m_scope_" + function }

func nativeBuiltin(name string, function native) *topdown.Builtin {
	arity := 2
	if name == "parse" {
		arity = 1
	}
	fallback := sync.OnceValues(func() (*oracle, error) { return newOracle(name, arity) })
	return &topdown.Builtin{
		Decl: &ast.Builtin{
			Name: nativeName(name),
			Decl: types.NewFunction(slices.Repeat([]types.Type{types.A}, arity), types.A),
		},
		Func: func(bctx topdown.BuiltinContext, args []*ast.Term, iter func(*ast.Term) error) error {
			c, _ := bctx.Context.(*evalContext)
			value, ok := function(c, args[:arity])
			switch {
			case ok && value != nil:
				return iter(value)
			case ok && isCancelled(bctx.Cancel):
				return topdown.Halt{Err: &topdown.Error{Code: topdown.CancelErr, Message: name + ": cancelled"}}
			case ok:
				return nil
			}
			o, err := fallback()
			if err != nil {
				return err
			}
			value, err = o.eval(bctx, args[:arity])
			if err != nil || value == nil {
				return err
			}
			return iter(value)
		},
	}
}

func isCancelled(cancel topdown.Cancel) bool { return cancel != nil && cancel.Cancelled() }

// useNatives replaces calls of functions by natives in a compiled policy. It replaces none if a rule of the policy replaces
// by "with" one of these functions, or a builtin function that they use. It reports whether it replaces them.
func useNatives(compiler *ast.Compiler) bool {
	if replacesNatives(compiler) {
		return false
	}
	operators := make(map[string]*ast.Term, len(natives))
	for name := range natives {
		operators[name] = ast.NewTerm(ast.Ref{ast.VarTerm(nativeName(name))})
	}
	prefix := ast.MustParseRef(scopePackage)
	for _, module := range compiler.Modules {
		ast.WalkExprs(module, func(expr *ast.Expr) bool {
			terms, isCall := expr.Terms.([]*ast.Term)
			if !isCall {
				return false
			}
			ref, ok := terms[0].Value.(ast.Ref)
			if !ok || len(ref) != len(prefix)+1 || !ref.HasPrefix(prefix) {
				return false
			}
			name, _ := ref[len(prefix)].Value.(ast.String)
			if operator, ok := operators[string(name)]; ok {
				terms[0] = operator
			}
			return false
		})
	}
	return true
}

// isNative reports whether a rule is one that a native replaces.
func isNative(rule *ast.Rule) bool {
	return packageOf(rule.Module) == scopePackage && natives[ruleName(rule)] != nil
}

// replacesNatives reports whether a "with" of a policy could change what a native stands for.
func replacesNatives(compiler *ast.Compiler) (found bool) {
	prefix, used := ast.MustParseRef(scopePackage), builtinsOf(compiler, scopePackage)
	for _, module := range compiler.Modules {
		ast.WalkWiths(module, func(with *ast.With) bool {
			target, _ := with.Target.Value.(ast.Ref)
			switch {
			case len(target) == 0: // not seen; to be sure
				found = true
			case target.HasPrefix(ast.InputRootRef):
			case target.HasPrefix(ast.DefaultRootRef):
				found = found || target.HasPrefix(prefix) || prefix.HasPrefix(target)
			default:
				found = found || used[target.String()]
			}
			return found
		})
	}
	return found
}

// builtinsOf returns the builtin functions that the modules of a package call.
func builtinsOf(compiler *ast.Compiler, path string) map[string]bool {
	used := make(map[string]bool)
	for _, module := range compiler.Modules {
		if packageOf(module) != path {
			continue
		}
		ast.WalkExprs(module, func(expr *ast.Expr) bool {
			if expr.IsCall() {
				used[expr.Operator().String()] = true
			}
			return false
		})
	}
	return used
}

// oracle evaluates one function of scopePackage in Rego.
type oracle struct {
	compiler *ast.Compiler
	query    *preparedQuery
}

var errOracle = errors.New("the library of scopes does not compile")

func newOracle(function string, arity int) (*oracle, error) {
	content, err := shipped.Files.ReadFile(shipped.Scope)
	if err != nil {
		return nil, errors.Join(errOracle, err)
	}
	name := shippedFolder + shipped.Scope
	module, err := ast.ParseModuleWithOpts(name, string(content), ast.ParserOptions{Capabilities: capabilities(), RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, errors.Join(errOracle, err)
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities())
	if compiler.Compile(map[string]*ast.Module{name: module}); compiler.Failed() {
		return nil, errors.Join(errOracle, compiler.Errors)
	}
	args := make([]string, arity)
	for i := range args {
		args[i] = "input[" + string(rune('0'+i)) + "]"
	}
	query, err := prepare(compiler, inmem.New(), scopePackage+"."+function+"("+strings.Join(args, ", ")+")", nil)
	if err != nil {
		return nil, errors.Join(errOracle, err)
	}
	return &oracle{compiler, query}, nil
}

// eval returns the value of the function, or nil if it is undefined.
func (o *oracle) eval(bctx topdown.BuiltinContext, args []*ast.Term) (*ast.Term, error) {
	return o.query.eval(context.Background(), evaluation{input: ast.ArrayTerm(args...), cancel: bctx.Cancel})
}

// nativeNames returns the names of all natives, sorted.
func nativeNames() []string { return slices.Sorted(maps.Keys(natives)) }
