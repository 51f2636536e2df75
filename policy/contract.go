package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// contractPackage is the only package of ours to which authors add rules.
const contractPackage = "data.m2m.token"

// contractRules are the rules of the contract, and how they are written.
var contractRules = map[string]string{
	"granted":        "granted contains scope if { … }",
	"rejected":       `rejected contains {"scope": …, "reason": …} if { … }`,
	"default_scopes": "default_scopes contains scope if { … }",
	"claims":         "claims[name] := value if { … }",
	"ttl":            "ttl contains seconds if { … }",
}

// checkModule holds an author's module against the contract.
func checkModule(module *ast.Module) error {
	path := module.Package.Path.String()
	if path == contractPackage {
		return checkRules(module)
	}
	if path == "data.m2m" || strings.HasPrefix(path, "data.m2m.") {
		return misplaced(module)
	}
	return nil
}

// misplaced keeps authors out of the packages that ship, where a rule would change what a scope
// means, and finds names that nothing would ask: a rule that is silently not asked rejects nothing.
func misplaced(module *ast.Module) error {
	name := strings.TrimPrefix(module.Package.Path.String(), "data.")
	return fmt.Errorf("%spackage %s is not for policies: add rules to package m2m.token, or use a name of your own",
		at(module.Package.Location), name)
}

// checkRules finds rules of the contract that would not merge with those of other files.
func checkRules(module *ast.Module) error {
	var errs []error
	for _, rule := range module.Rules {
		name := ruleName(rule)
		if usage, ok := contractRules[name]; ok && !isPartial(rule, name) {
			errs = append(errs, fmt.Errorf("%s%s is a partial rule: write %s", at(rule.Location), name, usage))
		}
	}
	return errors.Join(errs...)
}

func ruleName(rule *ast.Rule) string { return string(rule.Head.Ref()[0].Value.(ast.Var)) }

func isPartial(rule *ast.Rule, name string) bool {
	if len(rule.Head.Args) > 0 {
		return false
	}
	if name == "claims" {
		return len(rule.Head.Ref()) > 1
	}
	return len(rule.Head.Ref()) == 1 && rule.Head.RuleKind() == ast.MultiValue
}
