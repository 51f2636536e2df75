package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The rules that make up each answer, in the order in which results has them.
var (
	tokenRules         = []string{"granted", "rejected", "observed", "claims", "ttl"}
	defaultScopesRules = []string{"default_scopes"}
	requestRules       = []string{"denied", "observed", "required", "headers"}
	maskRules          = []string{"mask"}
)

// writtenRules returns the rules of the contracts, with their packages, that a module other than the contract itself
// has.
func writtenRules(modules map[string]*ast.Module) map[string]bool {
	written := make(map[string]bool)
	for file, module := range modules {
		if c, ok := contracts[packageOf(module)]; !ok || file == c.file {
			continue
		}
		for _, rule := range module.Rules {
			written[rulePath(module, rule)] = true
		}
	}
	return written
}

// withoutStubs removes the empty rules of the contracts where there are other rules to evaluate.
func withoutStubs(modules map[string]*ast.Module, written map[string]bool) {
	for _, c := range contracts {
		module := modules[c.file]
		module.Rules = slices.DeleteFunc(module.Rules, func(rule *ast.Rule) bool { return written[rulePath(module, rule)] })
	}
}

// query evaluates rules of a contract by name and ignores other rules in its package. It leaves out a rule that is not
// written, because even an empty one costs time.
func query(written map[string]bool, path string, rules []string) string {
	terms := make([]string, len(rules))
	for i, rule := range rules {
		switch {
		case written[path+"."+rule]:
			terms[i] = path + "." + rule
		case objects[rule]:
			terms[i] = "{}"
		default:
			terms[i] = "set()"
		}
	}
	return "[" + strings.Join(terms, ", ") + "]"
}

// isWritten reports whether any of the rules is written.
func isWritten(written map[string]bool, path string, rules []string) bool {
	return slices.ContainsFunc(rules, func(rule string) bool { return written[path+"."+rule] })
}
