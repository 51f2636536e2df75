package policy

import (
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
)

// The functions below are those of rego/scope.rego for arguments of the usual form. TestNativesAgree compares them.

func nativeParse(_ *evalContext, args []*ast.Term) (*ast.Term, bool) {
	raw, ok := args[0].Value.(ast.String)
	if !ok {
		return nil, false
	}
	s, err := scope.Parse(string(raw))
	if err != nil {
		return nil, true
	}
	return scopeTerm(s), true
}

func nativeCovers(_ *evalContext, args []*ast.Term) (*ast.Term, bool) {
	a, aOK := scopeOf(args[0])
	b, bOK := scopeOf(args[1])
	if !aOK || !bOK {
		return nil, false
	}
	return ast.InternedTerm(a.Covers(b)), true
}

func nativeOverlaps(_ *evalContext, args []*ast.Term) (*ast.Term, bool) {
	a, aOK := scopeOf(args[0])
	b, bOK := scopeOf(args[1])
	if !aOK || !bOK {
		return nil, false
	}
	return ast.InternedTerm(a.Overlaps(b)), true
}

func nativeIdentifierCovers(_ *evalContext, args []*ast.Term) (*ast.Term, bool) {
	a, aOK := args[0].Value.(ast.String)
	b, bOK := args[1].Value.(ast.String)
	if !aOK || !bOK {
		return nil, false
	}
	return ast.InternedTerm(scope.Scope{Identifier: string(a)}.Covers(scope.Scope{Identifier: string(b)})), true
}

func nativeGrantCovers(_ *evalContext, args []*ast.Term) (*ast.Term, bool) {
	return ofGrant(args, scope.Scope.Covers)
}

func nativeGrantOverlaps(_ *evalContext, args []*ast.Term) (*ast.Term, bool) {
	return ofGrant(args, scope.Scope.Overlaps)
}

// ofGrant reports whether a scope of the grant args[0] is to the scope args[1] what is says.
func ofGrant(args []*ast.Term, is func(a, b scope.Scope) bool) (*ast.Term, bool) {
	g, gOK := grantOf(args[0])
	s, sOK := scopeOf(args[1])
	if !gOK || !sOK {
		return nil, false
	}
	same := scope.Scope{Resource: g.resource, Identifier: s.Identifier, Action: s.Action}
	hasIdentifier := anyText(g.identifiers, func(identifier string) bool {
		a := same
		a.Identifier = identifier
		return is(a, s)
	})
	// Each list is walked once, and not one for each element of the other, because nothing can stop it.
	return ast.InternedTerm(hasIdentifier && anyText(g.actions, func(action string) bool {
		a := same
		a.Action = action
		return is(a, s)
	})), true
}

func nativeCovered(c *evalContext, args []*ast.Term) (*ast.Term, bool) {
	index, ok := c.indexOf(args[0])
	if !ok {
		return nil, false
	}
	return c.which(args[1], index.Covers)
}

func nativeDenied(c *evalContext, args []*ast.Term) (*ast.Term, bool) {
	index, ok := c.indexOf(args[0])
	if !ok {
		return nil, false
	}
	return c.which(args[1], index.Denies)
}

func nativeUnknownResource(c *evalContext, args []*ast.Term) (*ast.Term, bool) {
	resources, ok := resourcesOf(args[0])
	if !ok {
		return nil, false
	}
	return c.which(args[1], func(s scope.Scope) bool {
		return s.Resource != scope.Any && resources.Get(stringTerm(s.Resource)) == nil
	})
}

func nativeUnknownAction(c *evalContext, args []*ast.Term) (*ast.Term, bool) {
	resources, ok := resourcesOf(args[0])
	if !ok {
		return nil, false
	}
	return c.which(args[1], func(s scope.Scope) bool {
		if s.Action == scope.Any {
			return false
		}
		resource := resources.Get(stringTerm(s.Resource))
		return resource != nil && !holds(resource.Value.(ast.Object).Get(keyActions).Value.(*ast.Array), s.Action)
	})
}

// which returns the set of the scopes, as they were written, of which is is true. It ends early if the evaluation is cancelled.
func (c *evalContext) which(scopes *ast.Term, is func(scope.Scope) bool) (*ast.Term, bool) {
	array, ok := scopes.Value.(*ast.Array)
	if !ok {
		return nil, false
	}
	parsed, ok := c.scopesOf(array)
	if !ok {
		return nil, false
	}
	var members []*ast.Term
	for i, s := range parsed {
		if c != nil && isCancelled(c.cancel) {
			return nil, true
		}
		if is(s) {
			members = append(members, array.Elem(i).Value.(ast.Object).Get(keyRaw))
		}
	}
	if members == nil {
		return ast.InternedEmptySet, true
	}
	return ast.SetTerm(members...), true
}

// scopesOf returns the scopes of an array, all of which are objects with strings at all four keys.
func (c *evalContext) scopesOf(array *ast.Array) ([]scope.Scope, bool) {
	if c != nil && array == c.asked {
		return c.scopes, true
	}
	scopes := make([]scope.Scope, array.Len())
	for i := range scopes {
		s, ok := scopeOf(array.Elem(i))
		if !ok {
			return nil, false
		}
		if s.Raw, ok = stringAt(array.Elem(i).Value.(ast.Object), keyRaw); !ok {
			return nil, false
		}
		scopes[i] = s
	}
	return scopes, true
}

// indexOf returns the index of grants. That of the client is built once for each version of the client.
func (c *evalContext) indexOf(grants *ast.Term) (*scope.Index, bool) {
	array, ok := grants.Value.(*ast.Array)
	if !ok {
		return nil, false
	}
	if c != nil && array == c.grants {
		return c.client.derived().grants, true
	}
	read := make([]scope.Grant, array.Len())
	for i := range read {
		if read[i], ok = wholeGrantOf(array.Elem(i)); !ok {
			return nil, false
		}
	}
	return scope.NewIndex(read), true
}

// wholeGrantOf returns a grant with its effect. A grant without a known one is left to Rego.
func wholeGrantOf(term *ast.Term) (scope.Grant, bool) {
	g, ok := grantOf(term)
	if !ok {
		return scope.Grant{}, false
	}
	effect, _ := stringAt(term.Value.(ast.Object), keyEffect)
	whole := scope.Grant{Resource: g.resource, Identifiers: texts(g.identifiers), Actions: texts(g.actions), Deny: effect == scope.Deny}
	return whole, effect == scope.Allow || effect == scope.Deny
}

// grantParts is a grant whose lists are arrays of strings.
type grantParts struct {
	resource             string
	identifiers, actions *ast.Array
}

func grantOf(term *ast.Term) (grantParts, bool) {
	object, ok := term.Value.(ast.Object)
	if !ok {
		return grantParts{}, false
	}
	resource, ok := stringAt(object, keyResource)
	identifiers, actions := textsAt(object, keyIdentifiers), textsAt(object, keyActions)
	return grantParts{resource, identifiers, actions}, ok && identifiers != nil && actions != nil
}

// scopeOf returns a scope without its raw form.
func scopeOf(term *ast.Term) (scope.Scope, bool) {
	object, ok := term.Value.(ast.Object)
	if !ok {
		return scope.Scope{}, false
	}
	resource, resourceOK := stringAt(object, keyResource)
	identifier, identifierOK := stringAt(object, keyIdentifier)
	action, actionOK := stringAt(object, keyAction)
	return scope.Scope{Resource: resource, Identifier: identifier, Action: action}, resourceOK && identifierOK && actionOK
}

// resourcesOf returns resources that all are objects with an array of actions.
func resourcesOf(term *ast.Term) (resources ast.Object, ok bool) {
	if resources, ok = term.Value.(ast.Object); !ok {
		return nil, false
	}
	return resources, !resources.Until(func(_, resource *ast.Term) bool {
		object, ok := resource.Value.(ast.Object)
		if !ok {
			return true
		}
		actions := object.Get(keyActions)
		if actions == nil {
			return true
		}
		_, ok = actions.Value.(*ast.Array)
		return !ok
	})
}

// textsAt returns the array of strings at a key, or nil if there is none.
func textsAt(object ast.Object, key *ast.Term) *ast.Array {
	term := object.Get(key)
	if term == nil {
		return nil
	}
	array, ok := term.Value.(*ast.Array)
	if !ok {
		return nil
	}
	for i := range array.Len() {
		if _, ok := array.Elem(i).Value.(ast.String); !ok {
			return nil
		}
	}
	return array
}

func textAt(array *ast.Array, i int) string { return string(array.Elem(i).Value.(ast.String)) }

// anyText reports whether is is true of an element of an array of strings.
func anyText(array *ast.Array, is func(string) bool) bool {
	for i := range array.Len() {
		if is(textAt(array, i)) {
			return true
		}
	}
	return false
}

func texts(array *ast.Array) []string {
	texts := make([]string, array.Len())
	for i := range texts {
		texts[i] = textAt(array, i)
	}
	return texts
}

func holds(array *ast.Array, text string) bool {
	for i := range array.Len() {
		if element, ok := array.Elem(i).Value.(ast.String); ok && string(element) == text {
			return true
		}
	}
	return false
}
