package policy

import (
	"errors"
	"slices"
	"strings"

	shipped "github.com/caddy-m2m/caddy-m2m/rego"
	"github.com/open-policy-agent/opa/v1/ast"
)

// contract is one of this program's packages to which authors add rules.
type contract struct {
	// path is that of the package. file is the module that declares all of its rules, empty.
	path, file string
	// rules are the rules that are evaluated, with how to write them.
	rules map[string]string
}

const (
	tokenPackage    = "data.m2m.token"
	requestPackage  = "data.m2m.request"
	identityPackage = "data.m2m.identity"
	logPackage      = "data.m2m.log"
)

// The path of a decision in the decision log is that of the Rego package that makes it.
const (
	TokenPath    = "m2m/token"
	RequestPath  = "m2m/request"
	IdentityPath = "m2m/identity"
)

// contracts holds all of them, by the path of the package.
var contracts = map[string]contract{
	tokenPackage: {tokenPackage, shippedFolder + shipped.Contract, map[string]string{
		"granted":        "granted contains scope if { … }",
		"rejected":       `rejected contains {"scope": …, "reason": …} if { … }`,
		"observed":       `observed contains {"scope": …, "reason": …} if { … }`,
		"beyond_subject": `beyond_subject contains {"scope": …, "reason": …} if { … }`,
		"default_scopes": "default_scopes contains scope if { … }",
		"claims":         "claims[name] := value if { … }",
		"ttl":            "ttl contains seconds if { … }",
	}},
	requestPackage: {requestPackage, shippedFolder + shipped.Request, map[string]string{
		"denied":   `denied contains {"reason": …} if { … }`,
		"observed": `observed contains {"reason": …} if { … }`,
		"required": "required contains scope if { … }",
		"headers":  "headers[name] := value if { … }",
	}},
	identityPackage: {identityPackage, shippedFolder + shipped.Identity, map[string]string{
		"clients": "clients contains id if { … }",
		"denied":  `denied contains {"reason": …} if { … }`,
	}},
	logPackage: {logPackage, shippedFolder + shipped.Log, map[string]string{
		"mask": "mask contains pointer if { … }",
	}},
}

// objects are the rules that are objects. All others are sets.
var objects = map[string]bool{"claims": true, "headers": true}

// checkModule checks an author's module against the contracts.
func checkModule(module *ast.Module) error {
	path := packageOf(module)
	if c, ok := contracts[path]; ok {
		return errors.Join(c.checkRules(module), checkHeaderCase(module))
	}
	if path == "data.m2m" || strings.HasPrefix(path, "data.m2m.") {
		return misplaced(module)
	}
	return nil
}

// checkTest refuses tests in the packages that they test: the policy would be a different one without them.
func checkTest(module *ast.Module) error {
	path := packageOf(module)
	if !strings.HasSuffix(path, "_test") && (path == "data.m2m" || strings.HasPrefix(path, "data.m2m.")) {
		return errorAt(module.Package.Location, "a test is in a package of its own: write package %s_test",
			strings.TrimPrefix(path, "data."))
	}
	return nil
}

func packageOf(module *ast.Module) string { return module.Package.Path.String() }

// misplaced refuses a module in a shipped package, where a rule could change what a scope means, and in a package with
// a similar name, where nothing evaluates it.
func misplaced(module *ast.Module) error {
	name := strings.TrimPrefix(packageOf(module), "data.")
	return errorAt(module.Package.Location,
		"package %s is not for policies: add rules to package m2m.token, m2m.request, m2m.identity or m2m.log, or use a name of your own", name)
}

// checkRules finds rules of the contract that do not merge with those of other files.
func (c contract) checkRules(module *ast.Module) error {
	var errs []error
	for _, rule := range module.Rules {
		name := ruleName(rule)
		if usage, ok := c.rules[name]; ok && !isPartial(rule, name) {
			errs = append(errs, errorAt(rule.Location, "%s is a partial rule: write %s", name, usage))
		}
	}
	return errors.Join(errs...)
}

func ruleName(rule *ast.Rule) string { return string(rule.Head.Ref()[0].Value.(ast.Var)) }

// rulePath returns a rule's name with its package, such as data.m2m.token.granted.
func rulePath(module *ast.Module, rule *ast.Rule) string {
	return packageOf(module) + "." + ruleName(rule)
}

func isPartial(rule *ast.Rule, name string) bool {
	if len(rule.Head.Args) > 0 {
		return false
	}
	if objects[name] {
		return len(rule.Head.Ref()) > 1
	}
	return len(rule.Head.Ref()) == 1 && rule.Head.RuleKind() == ast.MultiValue
}

// query is a group of rules of a contract that are evaluated together. Their values come in this order.
type query struct {
	kind  string // of its decisions
	path  string // of the package
	rules []string
}

var (
	tokenQuery         = &query{TokenKind, tokenPackage, []string{"granted", "rejected", "observed", "claims", "ttl", "beyond_subject"}}
	defaultScopesQuery = &query{DefaultScopesKind, tokenPackage, []string{"default_scopes"}}
	requestQuery       = &query{RequestKind, requestPackage, []string{"denied", "observed", "required", "headers"}}
	identityQuery      = &query{"identity", identityPackage, []string{"clients", "denied"}}
	maskQuery          = &query{"mask", logPackage, []string{"mask"}}
)

// cachedQueries are the queries whose decisions are cached.
var cachedQueries = []*query{tokenQuery, defaultScopesQuery, requestQuery}

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

// text returns the query in Rego. It leaves out a rule that is not written, because even an empty one costs time.
func (q *query) text(written map[string]bool) string {
	terms := make([]string, len(q.rules))
	for i, rule := range q.rules {
		switch {
		case written[q.path+"."+rule]:
			terms[i] = q.path + "." + rule
		case objects[rule]:
			terms[i] = "{}"
		default:
			terms[i] = "set()"
		}
	}
	return "[" + strings.Join(terms, ", ") + "]"
}

// isWritten reports whether any of the rules is written.
func (q *query) isWritten(written map[string]bool) bool {
	return slices.ContainsFunc(q.rules, func(rule string) bool { return written[q.path+"."+rule] })
}
