package policy

import (
	"context"
	"maps"
	"net"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	shipped "github.com/caddy-m2m/caddy-m2m/rego"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// A token decision is the union of what the shipped rules and the authors' rules say. If no rule of an author reads what the
// shipped rules say, Go computes that, and only the authors' rules are evaluated. Explanations evaluate all rules. Tests hold
// both to the same answers.

// authorsQuery is tokenQuery of a policy without the shipped rules.
var authorsQuery = &query{tokenQuery.kind, tokenQuery.path, tokenQuery.rules}

// The reasons of the shipped rules, which are also in rego/token.rego.
const (
	unknownResource = "unknown resource"
	unknownAction   = "unknown action"
	deniedByGrant   = "denied by a grant"
	sourceNetwork   = "source network"
)

// prepareShortcut prepares authorsQuery if Go can compute the shipped rules, which are in modules. A policy whose authors have
// no rule for token decisions needs no query.
func (s *snapshot) prepareShortcut(compiler *ast.Compiler, modules map[string]*ast.Module, store storage.Store) error {
	file := shippedFolder + shipped.Token
	if modules[file] == nil || isReadElsewhere(compiler, file) {
		return nil
	}
	s.shortcut = true
	authors := maps.Clone(modules)
	delete(authors, file)
	written := writtenRules(authors)
	if !authorsQuery.isWritten(written) {
		return nil
	}
	compiler, err := compileModules(authors, store)
	if err != nil {
		return err
	}
	s.authorsRead = &dependenciesOf(compiler, authorsQuery, written).input
	s.prepared[authorsQuery], err = prepare(compiler, store, authorsQuery.text(written), nativeBuiltins())
	return err
}

// isReadElsewhere reports whether rules of other files may read a rule of a file.
func isReadElsewhere(compiler *ast.Compiler, file string) bool {
	for _, rule := range compiler.Modules[file].Rules {
		for dependent := range compiler.Graph.Dependents(rule) {
			if dependent.(*ast.Rule).Module != compiler.Modules[file] {
				return true
			}
		}
	}
	return false
}

// answerToken returns what the rules of a token decision say.
func (s *snapshot) answerToken(ctx context.Context, e *Engine, in TokenInput) (tokenAnswer, error) {
	own, ok := tokenAnswer{}, false
	if s.shortcut {
		own, ok = in.shippedAnswer()
	}
	if !ok {
		q, err := tokenQuestion(s, in)
		if err != nil {
			return tokenAnswer{}, err
		}
		return decideOn(ctx, e, q)
	}
	if s.prepared[authorsQuery] == nil {
		if err := ctx.Err(); err != nil {
			return tokenAnswer{}, &Error{Canceled, err}
		}
		return own, nil
	}
	q, err := newQuestion(s, readInput{in, s.authorsRead}, in.Time, authorsQuery, (*results).token)
	if err != nil {
		return tokenAnswer{}, err
	}
	answer, err := decideOn(ctx, e, q)
	if err != nil {
		return tokenAnswer{}, err
	}
	return own.with(answer), nil
}

// shippedAnswer returns what rego/token.rego says. It returns false for an input that it leaves to Rego.
func (in TokenInput) shippedAnswer() (tokenAnswer, bool) {
	client := in.Client.derived()
	if !client.hasNetworks || client.err != nil || in.hasBadResource() {
		return tokenAnswer{}, false
	}
	var a tokenAnswer
	isElsewhere := len(client.networks) > 0 && !client.isIn(in.Request.RemoteIP)
	for _, s := range in.Scopes {
		if client.grants.Denies(s) {
			a.reject(s.Raw, deniedByGrant)
		}
		if isElsewhere {
			a.reject(s.Raw, sourceNetwork)
		}
		if reason := in.unknown(s); reason != "" {
			a.reject(s.Raw, reason)
		}
		if client.grants.Covers(s) {
			a.grant(s.Raw, len(in.Scopes))
		}
	}
	return a, true
}

// hasBadResource reports whether the input cannot be built, because of a resource.
func (in TokenInput) hasBadResource() bool {
	for _, r := range in.Resources {
		if len(r.Attributes) == 0 {
			continue
		}
		if _, err := r.value(); err != nil {
			return true
		}
	}
	return false
}

// unknown says what of a scope the registry does not have. "*" is not the name of a resource or an action.
func (in TokenInput) unknown(s scope.Scope) string {
	resource := in.Resources[s.Resource]
	switch {
	case resource == nil && s.Resource != scope.Any:
		return unknownResource
	case resource != nil && s.Action != scope.Any && !slices.Contains(resource.Actions, s.Action):
		return unknownAction
	}
	return ""
}

func (a *tokenAnswer) grant(raw string, most int) {
	if a.granted == nil {
		a.granted = make(map[string]bool, most)
	}
	a.granted[raw] = true
}

func (a *tokenAnswer) reject(raw, reason string) {
	if a.reasons == nil {
		a.reasons = make(map[string][]string)
	}
	if at, found := slices.BinarySearch(a.reasons[raw], reason); !found { // sorted, as the members of a set in Rego
		a.reasons[raw] = slices.Insert(a.reasons[raw], at, reason)
	}
}

// with returns the union of the shipped answer and that of authors' rules, which it may change.
func (a tokenAnswer) with(authors tokenAnswer) tokenAnswer {
	for raw := range authors.granted {
		a.grant(raw, len(authors.granted))
	}
	for raw, reasons := range authors.reasons {
		for _, reason := range reasons {
			a.reject(raw, reason)
		}
	}
	a.observed, a.claims, a.ttl, a.beyond = authors.observed, authors.claims, authors.ttl, authors.beyond
	return a
}

// derivedClient is what decisions need of a client besides its term.
type derivedClient struct {
	grants   *scope.Index
	networks []*net.IPNet
	// hasNetworks says that all networks are valid. Those of a masked decision log may not be.
	hasNetworks bool
	attributes  *ast.Term
	err         error // of the attributes
}

// derived returns what is derived once from each version of a client. A missing client is empty.
func (c *Client) derived() *derivedClient {
	if c == nil {
		c = new(Client)
	}
	c.once.Do(func() {
		c.made = derivedClient{grants: scope.NewIndex(c.Grants), hasNetworks: true}
		c.made.attributes, c.made.err = objectTerm("attributes", c.Attributes)
		for _, text := range c.Networks {
			_, network, err := net.ParseCIDR(text)
			if err != nil {
				c.made.hasNetworks = false
				return
			}
			c.made.networks = append(c.made.networks, network)
		}
	})
	return &c.made
}

// isIn reports whether an address is in one of the networks. What is not an address, or has a zone, is in none.
func (c *derivedClient) isIn(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && slices.ContainsFunc(c.networks, func(n *net.IPNet) bool { return n.Contains(ip) })
}
