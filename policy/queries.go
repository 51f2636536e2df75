package policy

import (
	"slices"
	"strings"

	shipped "github.com/caddy-m2m/caddy-m2m/rego"
	"github.com/open-policy-agent/opa/v1/ast"
)

// writtenRules are the rules of the contract that some module has beside the contract itself,
// where all of them stand empty.
func writtenRules(modules map[string]*ast.Module) map[string]bool {
	written := make(map[string]bool)
	for file, module := range modules {
		if file == contractFile || module.Package.Path.String() != contractPackage {
			continue
		}
		for _, rule := range module.Rules {
			written[ruleName(rule)] = true
		}
	}
	return written
}

// withoutStubs takes the empty rules out of the contract where there are others to evaluate.
func withoutStubs(modules map[string]*ast.Module, written map[string]bool) {
	contract := modules[contractFile]
	contract.Rules = slices.DeleteFunc(contract.Rules, func(rule *ast.Rule) bool { return written[ruleName(rule)] })
}

const contractFile = shippedFolder + shipped.Contract

// tokenQuery asks for what a token decision is made of, in the order in which results has it.
func tokenQuery(written map[string]bool) string {
	return query(written, "granted", "rejected", "claims", "ttl")
}

func defaultScopesQuery(written map[string]bool) string { return query(written, "default_scopes") }

// query names rules of the contract alone: what else authors put into their package is theirs. A
// rule that nobody has written is not asked, for even an empty one costs time.
func query(written map[string]bool, rules ...string) string {
	terms := make([]string, len(rules))
	for i, rule := range rules {
		switch {
		case written[rule]:
			terms[i] = contractPackage + "." + rule
		case rule == "claims":
			terms[i] = "{}"
		default:
			terms[i] = "set()"
		}
	}
	return "[" + strings.Join(terms, ", ") + "]"
}
