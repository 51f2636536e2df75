package policy

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// value is the input document; schemas/request/input.json describes it.
func (in RequestInput) value() (ast.Value, error) {
	token, err := in.Token.term()
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return ast.NewObject(
		ast.Item(keyIssuer, stringTerm(in.Issuer)),
		ast.Item(keyRequest, in.Request.term()),
		ast.Item(keyToken, token),
	), nil
}

func (r ProxiedRequest) term() *ast.Term {
	return ast.ObjectTerm(
		ast.Item(keyMethod, stringTerm(r.Method)),
		ast.Item(keyHost, stringTerm(r.Host)),
		ast.Item(keyPath, arrayTerm(r.Path, stringTerm)),
		ast.Item(keyRoute, ast.ObjectTerm(
			ast.Item(keyPattern, stringTerm(r.Route.Pattern)),
			ast.Item(keyParameters, mapTerm(r.Route.Parameters, stringTerm)),
		)),
		ast.Item(keyRemoteIP, stringTerm(r.RemoteIP)),
		ast.Item(keyHeaders, mapTerm(r.Headers, func(values []string) *ast.Term { return arrayTerm(values, stringTerm) })),
	)
}

func (t Token) term() (*ast.Term, error) {
	claims, err := objectTerm("claims", t.Claims)
	if err != nil {
		return nil, err
	}
	return ast.ObjectTerm(
		ast.Item(keyClientID, stringTerm(t.ClientID)),
		ast.Item(keySubject, stringTerm(t.Subject)),
		ast.Item(keyScopes, arrayTerm(t.Scopes, scopeTerm)),
		ast.Item(keyClaims, claims),
	), nil
}
