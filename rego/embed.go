// Package rego embeds the shipped Rego: the contracts of token decisions, of request decisions, of identity decisions and
// of the decision log, the rules that grant what a client's grants cover, and the scope algebra that these rules and authors use. The files work with
// `opa test` and `opa fmt`. Start with Files. The package imports no other package of this module.
package rego

import "embed"

// Names of the files in [Files].
const (
	// Contract declares the rules of a token decision, all empty, and the schema of their input.
	Contract = "contract.rego"
	// Request declares the rules of a decision on a proxied request, all empty.
	Request = "request.rego"
	// Identity declares the rules that map an identity to clients, all empty.
	Identity = "identity.rego"
	// Log declares the rules that mask the decision log, all empty.
	Log = "log.rego"
	// Scope is the scope algebra, data.m2m.scope.
	Scope = "scope.rego"
	// Grants compares the requested scopes with grants and registry, data.m2m.grants.
	Grants = "grants.rego"
	// Token is the policy that grants what a client's grants cover.
	Token = "token.rego"
	// TokenInput is the JSON schema of a token decision's input.
	TokenInput = "schemas/token/input.json"
	// RequestInput is the JSON schema of a request decision's input.
	RequestInput = "schemas/request/input.json"
	// IdentityInput is the JSON schema of an identity decision's input.
	IdentityInput = "schemas/identity/input.json"
)

// Files has the modules and schemas, without their tests.
//
//go:embed contract.rego grants.rego identity.rego log.rego request.rego scope.rego token.rego schemas
var Files embed.FS
