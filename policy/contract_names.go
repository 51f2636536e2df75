package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
	"github.com/open-policy-agent/opa/v1/ast"
)

// checkNames finds rules that were meant for a contract but have a name that nothing evaluates: a misspelt rejection
// rejects nothing. Helpers may have any name, because some rule uses them.
func checkNames(compiler *ast.Compiler) error {
	rules := ownRules(compiler.Modules)
	used := make(map[string]bool)
	for _, rule := range rules {
		if isUsed(compiler.Graph, rule) {
			used[rulePath(rule.Module, rule)] = true
		}
	}
	var errs []error
	for _, rule := range rules {
		name := ruleName(rule)
		meant := contracts[packageOf(rule.Module)].meantRule(name)
		if meant != "" && !used[rulePath(rule.Module, rule)] && len(rule.Head.Args) == 0 {
			errs = append(errs, fmt.Errorf("%s%s has no effect, because no rule uses it (did you mean %q?)",
				at(rule.Location), name, meant))
		}
	}
	return errors.Join(errs...)
}

// ownRules returns the authors' rules in packages of contracts, in the order of their files.
func ownRules(modules map[string]*ast.Module) []*ast.Rule {
	var rules []*ast.Rule
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		module := modules[file]
		if _, ok := contracts[packageOf(module)]; ok && !isShipped(file) {
			rules = append(rules, module.Rules...)
		}
	}
	return rules
}

// isUsed reports whether a rule of another name depends on this one.
func isUsed(graph *ast.Graph, rule *ast.Rule) bool {
	for dependent := range graph.Dependents(rule) {
		other := dependent.(*ast.Rule)
		if ruleName(other) != ruleName(rule) || !other.Module.Package.Equal(rule.Module.Package) {
			return true
		}
	}
	return false
}

// meantRule returns the rule of the contract that a name was meant to be, or "".
func (c contract) meantRule(name string) string {
	if _, exact := c.rules[name]; exact {
		return ""
	}
	return suggest.Nearest(name, maps.Keys(c.rules))
}
