package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
)

// Reasons of a scope that no rule grants or rejects. With the shipped policy, no grant covers it.
const (
	notCovered = "no grant covers it"
	notGranted = "not granted"
)

// maxTTL bounds the lifetime that a policy may give.
const maxTTL = 366 * 24 * time.Hour

// results decodes the values of the contract's rules strictly. err holds the first value of a wrong type, which ends
// the decision.
type results struct {
	snapshot *snapshot // nil for values that are checked on load
	path     string    // of the package whose rules these are
	terms    *ast.Array
	err      *Error
}

// tokenAnswer holds the values of the rules of a token decision, whether requested or not.
type tokenAnswer struct {
	granted  map[string]bool
	reasons  map[string][]string
	observed map[string][]string
	claims   map[string]any
	ttl      time.Duration
	beyond   map[string][]string
}

func (r *results) token() tokenAnswer {
	return tokenAnswer{
		granted:  r.granted(r.set(0, "granted")),
		reasons:  r.reasoned("rejected", r.set(1, "rejected")),
		observed: r.reasoned("observed", r.set(2, "observed")),
		claims:   r.claims(r.object(3, "claims")),
		ttl:      r.ttl(r.set(4, "ttl")),
		beyond:   r.reasoned("beyond_subject", r.set(5, "beyond_subject")),
	}
}

// decide sorts the requested scopes into granted and rejected ones. It ignores other scopes: rules may name all scopes
// that may be granted.
func (a tokenAnswer) decide(requested []scope.Scope, p *snapshot) TokenDecision {
	d := TokenDecision{Claims: a.claims, TTL: a.ttl, Revision: p.revision, from: p}
	for _, s := range requested {
		why, isRejected := a.reasons[s.Raw]
		switch {
		case isRejected:
			d.Rejected = append(d.Rejected, Rejection{s.Raw, strings.Join(why, "; ")})
		case a.granted[s.Raw]:
			if d.Granted == nil {
				d.Granted = make([]string, 0, min(len(a.granted), len(requested)))
			}
			d.Granted = append(d.Granted, s.Raw)
		default:
			d.Rejected = append(d.Rejected, Rejection{s.Raw, p.leftOver})
		}
		if why, isObserved := a.observed[s.Raw]; isObserved {
			d.Observed = append(d.Observed, Rejection{s.Raw, strings.Join(why, "; ")})
		}
		if why, isBeyond := a.beyond[s.Raw]; isBeyond {
			d.BeyondSubject = append(d.BeyondSubject, Widening{s.Raw, strings.Join(why, "; ")})
		}
	}
	return d
}

func (r *results) defaultScopes() []string {
	var raws []string
	for _, s := range r.scopes("default_scopes", r.set(0, "default_scopes")) {
		raws = append(raws, s.Raw)
	}
	return raws
}

// scopes decodes a set of well-formed scopes.
func (r *results) scopes(rule string, members []*ast.Term) []scope.Scope {
	var scopes []scope.Scope
	for _, term := range members {
		raw, ok := term.Value.(ast.String)
		if !ok {
			r.fail(rule, "holds %s, which is not a string", kindOf(term))
			return nil
		}
		s, err := scope.Parse(string(raw))
		if err != nil {
			r.fail(rule, "holds a malformed scope: %w", err)
			return nil
		}
		scopes = append(scopes, s)
	}
	return scopes
}

func (r *results) granted(members []*ast.Term) map[string]bool {
	if len(members) == 0 {
		return nil
	}
	granted := make(map[string]bool, len(members))
	for _, term := range members {
		raw, ok := term.Value.(ast.String)
		if !ok {
			r.fail("granted", "holds %s, which is not a string", kindOf(term))
			return nil
		}
		granted[string(raw)] = true
	}
	return granted
}

// reasoned returns the reasons that a rule, such as rejected, gives for scopes: sorted, by scope.
func (r *results) reasoned(rule string, members []*ast.Term) map[string][]string {
	if len(members) == 0 {
		return nil
	}
	reasons := make(map[string][]string, len(members))
	for _, term := range members {
		object, isObject := term.Value.(ast.Object)
		if !isObject || object.Len() != 2 {
			r.fail(rule, `holds %s, which is not {"scope": …, "reason": …}`, kindOf(term))
			return nil
		}
		raw, rawOK := stringAt(object, keyScope)
		reason, reasonOK := stringAt(object, keyReason)
		if !rawOK || !reasonOK {
			r.fail(rule, `holds an object that is not {"scope": string, "reason": string}`)
			return nil
		}
		reasons[raw] = append(reasons[raw], reason)
	}
	return reasons
}

func (r *results) claims(object ast.Object) map[string]any {
	if object == nil {
		return nil
	}
	claims := make(map[string]any, object.Len())
	object.Foreach(func(name, value *ast.Term) {
		text, ok := name.Value.(ast.String)
		switch {
		case !ok:
			r.fail("claims", "has a name that is not a string")
			return
		case text == "":
			r.fail("claims", "has an empty name")
			return
		}
		plain, err := ast.JSON(value.Value)
		if err != nil {
			r.fail("claims", "has a value that is not JSON: %w", err)
			return
		}
		claims[string(text)] = plain
	})
	return claims
}

func (r *results) ttl(members []*ast.Term) time.Duration {
	var smallest time.Duration
	for _, term := range members {
		number, _ := term.Value.(ast.Number)
		seconds, ok := number.Int64()
		if !ok || seconds < 1 || seconds > int64(maxTTL/time.Second) {
			r.fail("ttl", "holds a value that is not a whole number of seconds from 1 to %d", int64(maxTTL/time.Second))
			return 0
		}
		ttl := time.Duration(seconds) * time.Second
		if smallest == 0 || ttl < smallest {
			smallest = ttl
		}
	}
	return smallest
}

// request decodes the values of the rules of a request decision.
func (r *results) request() RequestDecision {
	return RequestDecision{
		Denied:   r.reasons("denied", r.set(0, "denied")),
		Observed: r.reasons("observed", r.set(1, "observed")),
		Required: r.scopes("required", r.set(2, "required")),
		Headers:  r.headers(r.object(3, "headers")),
	}
}

// reasons decodes a set of {"reason": …}, sorted.
func (r *results) reasons(rule string, members []*ast.Term) []string {
	var reasons []string
	for _, term := range members {
		object, isObject := term.Value.(ast.Object)
		if !isObject || object.Len() != 1 {
			r.fail(rule, `holds %s, which is not {"reason": …}`, kindOf(term))
			return nil
		}
		reason, ok := stringAt(object, keyReason)
		if !ok {
			r.fail(rule, `holds an object that is not {"reason": string}`)
			return nil
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

// headers decodes an object of strings.
func (r *results) headers(object ast.Object) map[string]string {
	if object == nil {
		return nil
	}
	headers := make(map[string]string, object.Len())
	object.Foreach(func(name, value *ast.Term) {
		text, nameOK := name.Value.(ast.String)
		content, valueOK := value.Value.(ast.String)
		if !nameOK || !valueOK {
			r.fail("headers", "holds a member that is not a name with a string")
			return
		}
		headers[string(text)] = string(content)
	})
	return headers
}

// set returns the members of the i-th rule's value, in Rego's order.
func (r *results) set(i int, rule string) []*ast.Term {
	set, ok := r.terms.Elem(i).Value.(ast.Set)
	if !ok {
		r.fail(rule, "is not a set")
		return nil
	}
	return set.Slice()
}

// object returns the i-th rule's value, or nil if it is empty.
func (r *results) object(i int, rule string) ast.Object {
	object, ok := r.terms.Elem(i).Value.(ast.Object)
	if !ok {
		r.fail(rule, "is not an object")
	}
	if !ok || object.Len() == 0 {
		return nil
	}
	return object
}

func (r *results) fail(rule, format string, args ...any) {
	if r.err != nil {
		return
	}
	err := fmt.Errorf(format, args...)
	if r.snapshot == nil {
		r.err = &Error{WrongType, fmt.Errorf("%s %w", rule, err)}
		return
	}
	r.err = &Error{WrongType, fmt.Errorf("%s (%s) %w", rule, r.snapshot.whereIs(r.path, rule), err)}
}

var (
	keyReason = ast.StringTerm("reason")
	keyScope  = ast.StringTerm("scope")
)

func stringAt(object ast.Object, key *ast.Term) (string, bool) {
	term := object.Get(key)
	if term == nil {
		return "", false
	}
	text, ok := term.Value.(ast.String)
	return string(text), ok
}

// kindOf returns the name of a value's type.
func kindOf(term *ast.Term) string {
	name := ast.ValueName(term.Value)
	if strings.ContainsRune("aeiou", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}
