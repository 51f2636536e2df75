// Package rego holds the Rego that ships: the contracts of decisions on token requests and on proxied
// requests and of the decision log, the rules that grant what a client's grants cover, and the scope
// algebra that both they and authors use. It is Rego that `opa test` and `opa fmt` take as it stands.
package rego

import "embed"

// Names of the files in [Files].
const (
	// Contract declares the rules of a token decision, all of them empty, and what they read.
	Contract = "contract.rego"
	// Request declares the rules of a decision on a proxied request, all of them empty.
	Request = "request.rego"
	// Log declares the rules that mask the decision log, all of them empty.
	Log = "log.rego"
	// Scope is the scope algebra, data.m2m.scope.
	Scope = "scope.rego"
	// Grants says what grants and registry hold of the requested scopes, data.m2m.grants.
	Grants = "grants.rego"
	// Token is the policy that grants what a client's grants cover.
	Token = "token.rego"
	// TokenInput is the JSON schema of a token decision's input.
	TokenInput = "schemas/token/input.json"
	// RequestInput is the JSON schema of a request decision's input.
	RequestInput = "schemas/request/input.json"
)

// Files are the modules and schemas, without their tests.
//
//go:embed contract.rego grants.rego log.rego request.rego scope.rego token.rego schemas
var Files embed.FS
