package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
	"github.com/open-policy-agent/opa/v1/ast"
)

// elsewhere holds names of rules in other policies, by the package of the contract, and the rule of that contract that
// does the same. The names are those of OPA's own examples, Gatekeeper, Conftest, Envoy and similar.
var elsewhere = map[string]map[string]string{
	tokenPackage: {
		"deny": "rejected", "denied": "rejected", "denies": "rejected", "violation": "rejected", "violations": "rejected",
		"refused": "rejected", "forbidden": "rejected", "blocked": "rejected", "block": "rejected", "errors": "rejected",
		"allow": "granted", "allowed": "granted", "permit": "granted", "permitted": "granted", "authorized": "granted",
		"scopes": "granted", "allowed_scopes": "granted", "granted_scopes": "granted", "grants": "granted",
		"warn": "observed", "warnings": "observed", "would_reject": "observed",
		"widened": "beyond_subject", "widens": "beyond_subject", "widen": "beyond_subject", "exchanged": "beyond_subject",
		"extra_claims": "claims", "custom_claims": "claims", "additional_claims": "claims",
		"lifetime": "ttl", "token_ttl": "ttl", "expires_in": "ttl", "max_ttl": "ttl",
		"defaults": "default_scopes", "implied_scopes": "default_scopes",
	},
	requestPackage: {
		"deny": "denied", "rejected": "denied", "rejects": "denied", "violation": "denied", "violations": "denied",
		"refused": "denied", "forbidden": "denied", "blocked": "denied", "block": "denied", "errors": "denied",
		"allow": "denied", "allowed": "denied", "permit": "denied", "permitted": "denied", "authorized": "denied", "granted": "denied",
		"warn": "observed", "warnings": "observed", "would_deny": "observed",
		"scopes": "required", "required_scopes": "required",
		"upstream_headers": "headers", "request_headers_to_add": "headers",
	},
	identityPackage: {
		"client": "clients", "client_id": "clients", "client_ids": "clients", "map": "clients", "maps": "clients", "mapped": "clients",
		"allow": "clients", "allowed": "clients", "permit": "clients", "permitted": "clients", "authorized": "clients", "granted": "clients",
		"deny": "denied", "rejected": "denied", "rejects": "denied", "violation": "denied", "violations": "denied",
		"refused": "denied", "forbidden": "denied", "blocked": "denied", "block": "denied", "errors": "denied",
	},
	logPackage: {"masks": "mask", "masked": "mask", "erase": "mask", "erased": "mask", "redact": "mask", "redacted": "mask", "remove": "mask", "drop": "mask"},
}

// positive holds names of rules that say what passes. A request passes unless a rule says no, so such a rule must be
// turned around.
var positive = []string{"allow", "allowed", "permit", "permitted", "authorized", "granted"}

const markLibrary = `mark a library with METADATA "custom: {` + library + `: true}"`

// instead says which rule an author may have meant, in parentheses after a space.
func (c contract) instead(name string) string {
	meant := c.meantRule(name)
	switch {
	case meant == "":
		return fmt.Sprintf(" (the rules of package %s are %s; %s)",
			nameOf(c.path), strings.Join(slices.Sorted(maps.Keys(c.rules)), ", "), markLibrary)
	case c.path == requestPackage && slices.Contains(positive, name):
		return fmt.Sprintf(" (did you mean %q? A request passes unless it is denied: deny what is \"not %s\")", meant, name)
	}
	return fmt.Sprintf(" (did you mean %q?)", meant)
}

// meantRule returns the rule of the contract that a name was meant to be, or "".
func (c contract) meantRule(name string) string {
	if meant := suggest.Nearest(name, maps.Keys(c.rules)); meant != "" {
		return meant
	}
	name = strings.ToLower(name)
	if meant := elsewhere[c.path][name]; meant != "" {
		return meant
	}
	const stem = 5 // letters, so that rejections and rejecting are rejected
	for _, rule := range slices.Sorted(maps.Keys(c.rules)) {
		if len(rule) > stem && strings.HasPrefix(name, rule[:stem]) {
			return rule
		}
	}
	return ""
}

// insteadOfPackage says in which package an author may have meant a module to be, in parentheses after a space.
func insteadOfPackage(module *ast.Module) string {
	name := nameOf(packageOf(module))
	if strings.HasSuffix(name, "_test") || slices.ContainsFunc(module.Rules, isTestRule) {
		return " (a test is in a file with the name …_test.rego)"
	}
	if meant := meantPackage(name); meant != "" {
		return fmt.Sprintf(" (did you mean package %s?)", meant)
	}
	for _, path := range []string{tokenPackage, requestPackage, identityPackage, logPackage} {
		if c := contracts[path]; slices.ContainsFunc(module.Rules, c.resembles) {
			return fmt.Sprintf(" (did you mean package %s?)", nameOf(path))
		}
	}
	return fmt.Sprintf(" (%s)", markLibrary)
}

func isTestRule(rule *ast.Rule) bool { return strings.HasPrefix(ruleName(rule), "test_") }

// resembles reports whether a rule has the name of a rule of the contract, or a similar one.
func (c contract) resembles(rule *ast.Rule) bool { return c.meantRule(ruleName(rule)) != "" }

// meantPackage returns the package of a contract that a name was meant to be, or "".
func meantPackage(name string) string {
	dotted := strings.NewReplacer("_", ".", "-", ".", `["`, ".", `"]`, "").Replace(strings.ToLower(name))
	known := map[string]string{"authz": nameOf(requestPackage)} // envoy.authz, istio.authz and httpapi.authz decide on requests
	for path := range contracts {
		full := nameOf(path)
		last := full[strings.LastIndexByte(full, '.')+1:]
		for _, spelling := range []string{full, last, last + "s", strings.ReplaceAll(full, ".", "")} {
			known[spelling] = full
		}
	}
	if meant, ok := known[dotted]; ok {
		return meant
	}
	if meant := suggest.Nearest(dotted, maps.Keys(known)); meant != "" {
		return known[meant]
	}
	return known[dotted[strings.LastIndexByte(dotted, '.')+1:]] // such as system.log, authz.token
}

// nameOf returns the name of a package by its path.
func nameOf(path string) string { return strings.TrimPrefix(path, "data.") }
