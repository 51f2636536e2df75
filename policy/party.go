package policy

import (
	"errors"
	"fmt"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
)

// Party is who a verified token or assertion is about. It must not change once a decision has used it.
type Party struct {
	// Issuer is the issuer of the token or assertion: this one, or a trusted one.
	Issuer string `json:"issuer"`
	// Subject is the claim sub.
	Subject string `json:"subject"`
	// ClientID is the client that it stands for, by the token itself or by the identities of clients.
	ClientID string `json:"client_id"`
	// Scopes are the scopes of a token of this issuer; empty for others.
	Scopes []scope.Scope `json:"scopes"`
	// Claims are all claims, by name.
	Claims map[string]any `json:"claims"`
	// Type is the type of the issuer: jwt, or jwt-spiffe for a SPIFFE JWT-SVID.
	Type string `json:"type"`
	// KeyID is the thumbprint (RFC 7638) of the key that verified the signature; empty for a token of this issuer.
	KeyID string `json:"key_id"`

	term lazyTerm
}

// value returns the party's part of the input document.
func (p *Party) value() (*ast.Term, error) { return p.term.get(p.build) }

// parties returns the members of an input about parties, of those that are read. A party that is not there is not a member: null would be true to Rego.
func (in TokenInput) parties(read *reads) ([][2]*ast.Term, error) {
	var members [][2]*ast.Term
	add := func(key *ast.Term, name string, party *Party) error {
		if party == nil || !read.has(name) {
			return nil
		}
		term, err := party.value()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		members = append(members, ast.Item(key, term))
		return nil
	}
	err := errors.Join(add(keySubject, "subject", in.Subject), add(keyActor, "actor", in.Actor))
	return members, err
}

func (p *Party) build() (*ast.Term, error) {
	claims, err := objectTerm("claims", p.Claims)
	if err != nil {
		return nil, err
	}
	return ast.ObjectTerm(
		ast.Item(keyIssuer, stringTerm(p.Issuer)),
		ast.Item(keySubject, stringTerm(p.Subject)),
		ast.Item(keyClientID, stringTerm(p.ClientID)),
		ast.Item(keyScopes, arrayTerm(p.Scopes, scopeTerm)),
		ast.Item(keyClaims, claims),
		ast.Item(keyType, stringTerm(p.Type)),
		ast.Item(keyKeyID, stringTerm(p.KeyID)),
	), nil
}
