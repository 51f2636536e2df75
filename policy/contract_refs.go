package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
	"github.com/open-policy-agent/opa/v1/ast"
)

// checkRefs finds references of authors to rules that do not exist, in packages that do. OPA takes them for data that is
// missing, so a rejection that depends on a misspelt helper never applies.
func checkRefs(compiler *ast.Compiler, data map[string]any) error {
	packages := rulesByPackage(compiler.Modules)
	var errs []error
	for _, file := range slices.Sorted(maps.Keys(compiler.Modules)) {
		if isShipped(file) {
			continue
		}
		seen := make(map[string]bool)
		ast.WalkRefs(compiler.Modules[file], func(ref ast.Ref) bool {
			err := packages.check(ref, data)
			if err != nil && !seen[err.Error()] {
				seen[err.Error()] = true
				errs = append(errs, err)
			}
			return false
		})
	}
	return errors.Join(errs...)
}

// packageRules holds the names of rules, and of the next parts of longer packages, by the path of a package.
type packageRules map[string]map[string]bool

func rulesByPackage(modules map[string]*ast.Module) packageRules {
	packages := make(packageRules)
	for _, module := range modules {
		path := packageOf(module)
		if packages[path] == nil {
			packages[path] = make(map[string]bool)
			for rule := range contracts[path].rules { // one that is not written is not compiled
				packages[path][rule] = true
			}
		}
		for _, rule := range module.Rules {
			packages[path][ruleName(rule)] = true
		}
	}
	for path := range packages {
		above, name, found := cutLast(path)
		for ; found; above, name, found = cutLast(above) {
			if packages[above] != nil {
				packages[above][name] = true
			}
		}
	}
	return packages
}

// cutLast cuts the path of a package before its last part.
func cutLast(path string) (above, name string, found bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

// check returns an error if a reference names a rule that its package does not have.
func (p packageRules) check(ref ast.Ref, data map[string]any) error {
	for n := len(ref) - 1; n > 1; n-- { // the longest package first
		if !ref[:n].IsGround() {
			continue
		}
		rules, known := p[ref[:n].String()]
		name, isText := ref[n].Value.(ast.String)
		switch {
		case !known:
			continue
		case !isText || rules[string(name)] || isIn(data, ref[1:n+1]):
			return nil
		}
		hint := ""
		if meant := suggest.Nearest(string(name), maps.Keys(rules)); meant != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", meant)
		}
		return errorAt(ref[n].Location, "package %s has no rule %s%s", nameOf(ref[:n].String()), string(name), hint)
	}
	return nil
}

// isIn reports whether data has a value at a path.
func isIn(data map[string]any, path []*ast.Term) bool {
	var value any = data
	for _, term := range path {
		key, isText := term.Value.(ast.String)
		object, isObject := value.(map[string]any)
		if !isText || !isObject {
			return false
		}
		next, ok := object[string(key)]
		if !ok {
			return false
		}
		value = next
	}
	return true
}
