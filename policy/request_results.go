package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// request decodes the values of the rules of a request decision.
func (r *results) request() RequestDecision {
	return RequestDecision{
		Denied:   r.reasons("denied", r.set(0, "denied")),
		Observed: r.reasons("observed", r.set(1, "observed")),
		Required: r.scopes("required", r.set(2, "required")),
		Headers:  r.headers(r.terms.Elem(3).Value),
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
func (r *results) headers(value ast.Value) map[string]string {
	object, ok := value.(ast.Object)
	if !ok {
		r.fail("headers", "is not an object")
		return nil
	}
	if object.Len() == 0 {
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
