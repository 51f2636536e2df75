package policy

import (
	"errors"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// library is the name of the custom annotation that marks a package or a rule as a library, which no rule has to use.
const library = "library"

// checkUse finds rules in the packages of contracts, and packages of authors, that no decision reads. Such a rule looks
// active and is not: a rule named deny rejects nothing. Libraries are marked by an annotation.
func checkUse(compiler *ast.Compiler) error {
	u := newUse(compiler)
	var errs []error
	for _, module := range u.own {
		if _, ok := contracts[packageOf(module)]; ok {
			errs = append(errs, u.unusedRules(module)...)
		} else if err := u.unusedPackage(module); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// use says which rules of a policy have an effect.
type use struct {
	graph       *ast.Graph
	annotations *ast.AnnotationSet
	own         []*ast.Module   // of authors, in the order of their files
	used        map[string]bool // paths of rules and of packages that the decisions read, or that are of a library
}

func newUse(compiler *ast.Compiler) *use {
	u := &use{graph: compiler.Graph, annotations: compiler.GetAnnotationSet(), used: make(map[string]bool)}
	var roots []*ast.Rule
	for _, file := range slices.Sorted(maps.Keys(compiler.Modules)) {
		module := compiler.Modules[file]
		if !isShipped(file) {
			u.own = append(u.own, module)
		}
		for _, rule := range module.Rules {
			if isEvaluated(rule) || u.isLibrary(rule) {
				roots = append(roots, rule)
			}
		}
	}
	u.follow(roots)
	return u
}

// isEvaluated reports whether a rule is one of a contract.
func isEvaluated(rule *ast.Rule) bool {
	c, ok := contracts[packageOf(rule.Module)]
	_, known := c.rules[ruleName(rule)]
	return ok && known
}

// follow marks rules, and all rules that they depend on.
func (u *use) follow(rules []*ast.Rule) {
	seen := make(map[*ast.Rule]bool)
	for len(rules) > 0 {
		rule := rules[len(rules)-1]
		rules = rules[:len(rules)-1]
		if seen[rule] {
			continue
		}
		seen[rule] = true
		u.used[rulePath(rule.Module, rule)], u.used[packageOf(rule.Module)] = true, true
		for dependency := range u.graph.Dependencies(rule) {
			rules = append(rules, dependency.(*ast.Rule))
		}
	}
}

// isLibrary reports whether the METADATA of a rule, or of its own package, have the annotation. In a package of a
// contract only those of the rule count: the annotation of the package would be that of all files.
func (u *use) isLibrary(rule *ast.Rule) bool {
	_, isContract := contracts[packageOf(rule.Module)]
	for _, ref := range u.annotations.Chain(rule) {
		if ref.Annotations == nil || ref.Annotations.Custom[library] != true {
			continue
		}
		if !isContract || ref.GetRule() != nil {
			return true
		}
	}
	return false
}

func (u *use) unusedRules(module *ast.Module) []error {
	var errs []error
	for _, rule := range module.Rules {
		if !u.used[rulePath(module, rule)] && !u.isRead(rule) {
			errs = append(errs, errorAt(rule.Location, "%s has no effect, because no rule uses it%s",
				ruleName(rule), contracts[packageOf(module)].instead(ruleName(rule))))
		}
	}
	return errs
}

func (u *use) unusedPackage(module *ast.Module) error {
	path := packageOf(module)
	if len(module.Rules) == 0 || u.used[path] {
		return nil
	}
	return errorAt(module.Package.Location, "package %s has no effect, because no rule of m2m.token, m2m.request, m2m.identity or m2m.log uses it%s",
		nameOf(path), insteadOfPackage(module))
}

// isRead reports whether a rule of another name reads this one. If that rule has no effect either, its error is enough.
func (u *use) isRead(rule *ast.Rule) bool {
	for dependent := range u.graph.Dependents(rule) {
		other := dependent.(*ast.Rule)
		if other.Module.Package.Equal(rule.Module.Package) && ruleName(other) != ruleName(rule) {
			return true
		}
	}
	return false
}
