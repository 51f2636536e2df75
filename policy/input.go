package policy

import (
	"errors"
	"fmt"
	"sync"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
)

// Keys of the input document. Terms are never changed once made, and so are shared.
var (
	keyAction      = ast.StringTerm("action")
	keyActions     = ast.StringTerm("actions")
	keyAttributes  = ast.StringTerm("attributes")
	keyAudience    = ast.StringTerm("audience")
	keyAudiences   = ast.StringTerm("audiences")
	keyAuthMethod  = ast.StringTerm("auth_method")
	keyClaims      = ast.StringTerm("claims")
	keyClient      = ast.StringTerm("client")
	keyActor       = ast.StringTerm("actor")
	keyClients     = ast.StringTerm("clients")
	keyGrantType   = ast.StringTerm("grant_type")
	keyIdentity    = ast.StringTerm("identity")
	keyKeyID       = ast.StringTerm("key_id")
	keyType        = ast.StringTerm("type")
	keyClientID    = ast.StringTerm("client_id")
	keyDescription = ast.StringTerm("description")
	keyEffect      = ast.StringTerm("effect")
	keyGrants      = ast.StringTerm("grants")
	keyHeaders     = ast.StringTerm("headers")
	keyHost        = ast.StringTerm("host")
	keyID          = ast.StringTerm("id")
	keyIdentifier  = ast.StringTerm("identifier")
	keyIdentifiers = ast.StringTerm("identifiers")
	keyIssuer      = ast.StringTerm("issuer")
	keyMethod      = ast.StringTerm("method")
	keyNetworks    = ast.StringTerm("networks")
	keyParameters  = ast.StringTerm("parameters")
	keyPath        = ast.StringTerm("path")
	keyPattern     = ast.StringTerm("pattern")
	keyRaw         = ast.StringTerm("raw")
	keyRemoteIP    = ast.StringTerm("remote_ip")
	keyRequest     = ast.StringTerm("request")
	keyResource    = ast.StringTerm("resource")
	keyResources   = ast.StringTerm("resources")
	keyRoute       = ast.StringTerm("route")
	keyScopes      = ast.StringTerm("scopes")
	keySubject     = ast.StringTerm("subject")
	keyToken       = ast.StringTerm("token")

	effectAllow = ast.StringTerm("allow")
	effectDeny  = ast.StringTerm("deny")

	wildcard = ast.StringTerm(scope.Any)
)

// value returns the input document. It is built by hand, for speed. Tests compare it with the JSON of its type, and
// schemas/token/input.json as well.
func (in TokenInput) value() (ast.Value, error) {
	client, err := in.Client.value()
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	resources, err := resourcesTerm(in.Resources)
	if err != nil {
		return nil, fmt.Errorf("resources: %w", err)
	}
	parties, err := in.parties(&reads{all: true})
	if err != nil {
		return nil, err
	}
	return ast.NewObject(append(parties,
		ast.Item(keyIssuer, stringTerm(in.Issuer)),
		ast.Item(keyClient, client),
		ast.Item(keyScopes, arrayTerm(in.Scopes, scopeTerm)),
		ast.Item(keyResources, resources),
		ast.Item(keyRequest, in.Request.term()),
	)...), nil
}

// readInput is an input without the members that the rules do not read.
type readInput struct {
	TokenInput
	read *reads
}

func (in readInput) value() (ast.Value, error) {
	var members [5][2]*ast.Term
	found := members[:0]
	add := func(key *ast.Term, name string, build func() (*ast.Term, error)) error {
		if !in.read.has(name) {
			return nil
		}
		term, err := build()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		found = append(found, ast.Item(key, term))
		return nil
	}
	err := errors.Join(
		add(keyIssuer, "issuer", func() (*ast.Term, error) { return stringTerm(in.Issuer), nil }),
		add(keyClient, "client", in.Client.value),
		add(keyScopes, "scopes", func() (*ast.Term, error) { return arrayTerm(in.Scopes, scopeTerm), nil }),
		add(keyResources, "resources", func() (*ast.Term, error) { return resourcesTerm(in.Resources) }),
		add(keyRequest, "request", func() (*ast.Term, error) { return in.Request.term(), nil }),
	)
	parties, partiesErr := in.parties(in.read)
	return ast.NewObject(append(found, parties...)...), errors.Join(err, partiesErr)
}

// lazyTerm is a term that is built when it is first needed. It may be used concurrently.
type lazyTerm struct {
	once sync.Once
	term *ast.Term
	err  error
}

func (l *lazyTerm) get(build func() (*ast.Term, error)) (*ast.Term, error) {
	l.once.Do(func() { l.term, l.err = build() })
	return l.term, l.err
}

// value returns the client's part of the input document. A missing client is empty.
func (c *Client) value() (*ast.Term, error) {
	if c == nil {
		c = new(Client)
	}
	return c.term.get(c.build)
}

// known returns what natives may know of the input document.
func (in TokenInput) known(value ast.Value) known {
	k := known{client: in.Client, scopes: in.Scopes}
	object := value.(ast.Object)
	if client := object.Get(keyClient); client != nil {
		k.grants = client.Value.(ast.Object).Get(keyGrants).Value.(*ast.Array)
	}
	if asked := object.Get(keyScopes); asked != nil {
		k.asked = asked.Value.(*ast.Array)
	}
	return k
}

func (c *Client) build() (*ast.Term, error) {
	derived := c.derived()
	if derived.err != nil {
		return nil, derived.err
	}
	return ast.ObjectTerm(
		ast.Item(keyID, stringTerm(c.ID)),
		ast.Item(keyAuthMethod, stringTerm(c.AuthMethod)),
		ast.Item(keyDescription, stringTerm(c.Description)),
		ast.Item(keyAttributes, derived.attributes),
		ast.Item(keyAudiences, arrayTerm(c.Audiences, stringTerm)),
		ast.Item(keyNetworks, arrayTerm(c.Networks, stringTerm)),
		ast.Item(keyGrants, arrayTerm(c.Grants, grantTerm)),
	), nil
}

func grantTerm(g scope.Grant) *ast.Term {
	effect := effectAllow
	if g.Deny {
		effect = effectDeny
	}
	return ast.ObjectTerm(
		ast.Item(keyResource, stringTerm(g.Resource)),
		ast.Item(keyIdentifiers, arrayTerm(g.Identifiers, stringTerm)),
		ast.Item(keyActions, arrayTerm(g.Actions, stringTerm)),
		ast.Item(keyEffect, effect),
	)
}

func scopeTerm(s scope.Scope) *ast.Term {
	return ast.ObjectTerm(
		ast.Item(keyRaw, stringTerm(s.Raw)),
		ast.Item(keyResource, stringTerm(s.Resource)),
		ast.Item(keyIdentifier, stringTerm(s.Identifier)),
		ast.Item(keyAction, stringTerm(s.Action)),
	)
}

func resourcesTerm(resources map[string]*Resource) (*ast.Term, error) {
	if len(resources) == 0 {
		return ast.InternedEmptyObject, nil
	}
	items := make([][2]*ast.Term, 0, len(resources))
	for code, r := range resources {
		resource, err := r.value()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", code, err)
		}
		items = append(items, ast.Item(stringTerm(code), resource))
	}
	return ast.ObjectTerm(items...), nil
}

// value returns the resource's part of the input document.
func (r *Resource) value() (*ast.Term, error) {
	return r.term.get(r.build)
}

func (r *Resource) build() (*ast.Term, error) {
	attributes, err := objectTerm("attributes", r.Attributes)
	if err != nil {
		return nil, err
	}
	return ast.ObjectTerm(
		ast.Item(keyActions, arrayTerm(r.Actions, stringTerm)),
		ast.Item(keyAudience, stringTerm(r.Audience)),
		ast.Item(keyAttributes, attributes),
	), nil
}

func (r TokenRequest) term() *ast.Term {
	return ast.ObjectTerm(
		ast.Item(keyRemoteIP, stringTerm(r.RemoteIP)),
		ast.Item(keyAuthMethod, stringTerm(r.AuthMethod)),
		ast.Item(keyAudience, arrayTerm(r.Audience, stringTerm)),
	)
}

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

func (RequestInput) known(ast.Value) known { return known{} }

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

// objectTerm returns an object of any shape.
func objectTerm(what string, members map[string]any) (*ast.Term, error) {
	if len(members) == 0 {
		return ast.InternedEmptyObject, nil
	}
	v, err := ast.InterfaceToValue(members)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return ast.NewTerm(v), nil
}

// mapTerm returns an object whose members are all made in the same way.
func mapTerm[T any](members map[string]T, term func(T) *ast.Term) *ast.Term {
	if len(members) == 0 {
		return ast.InternedEmptyObject
	}
	items := make([][2]*ast.Term, 0, len(members))
	for name, member := range members {
		items = append(items, ast.Item(stringTerm(name), term(member)))
	}
	return ast.ObjectTerm(items...)
}

func arrayTerm[T any](elements []T, term func(T) *ast.Term) *ast.Term {
	if len(elements) == 0 {
		return ast.InternedEmptyArray
	}
	terms := make([]*ast.Term, len(elements))
	for i, element := range elements {
		terms[i] = term(element)
	}
	return ast.ArrayTerm(terms...)
}

// stringTerm returns a shared term for the most frequent strings.
func stringTerm(s string) *ast.Term {
	switch s {
	case "":
		return ast.InternedEmptyString
	case scope.Any:
		return wildcard
	}
	return ast.StringTerm(s)
}
