package policy

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Masked is a line of the decision log after the policy's masks.
type Masked struct {
	// Event is a copy of the line, its numbers as json.Number.
	Event map[string]any
	// Erased are the JSON pointers of values that were removed, and Replaced of those that have another value.
	Erased, Replaced []string
}

// Masks reports whether the policy has a rule m2m.log.mask. Without one, [Engine.Mask] changes nothing.
func (e *Engine) Masks() bool {
	s := e.current.Load()
	return s != nil && s.masks
}

// Mask applies the policy's masks to a line of the decision log. A mask of a value that is not there has no effect.
// Time is as for DecideToken. Every error is an [*Error] that does not quote the line; the line must then not be
// written.
func (e *Engine) Mask(ctx context.Context, event map[string]any) (Masked, error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return Masked{}, err
	}
	input, err := ast.InterfaceToValue(event)
	if err != nil {
		return Masked{}, &Error{Eval, errors.New("building the input: the line is not JSON")}
	}
	masks, err := decideOn(ctx, e, question[[]mask]{snapshot: s, query: maskQuery, input: input, decode: (*results).masks, private: true})
	if err != nil {
		return Masked{}, err
	}
	return apply(masks, input)
}

// mask is one member of the rule's value.
type mask struct {
	text    string
	path    []string
	upsert  bool
	replace *ast.Term
}

var (
	keyOp    = ast.StringTerm("op")
	keyValue = ast.StringTerm("value")
)

// masks decodes the value of the rule. Its errors do not quote it, because it may contain parts of the line.
func (r *results) masks() []mask {
	var masks []mask
	for _, term := range r.set(0, "mask") {
		m, ok := parseMask(term)
		if ok {
			m.path, ok = parsePointer(m.text)
		}
		if !ok {
			r.fail("mask", `holds %s that is not a JSON pointer below /input or /result, or {"op": …, "path": …, "value": …} with one`, kindOf(term))
			return nil
		}
		masks = append(masks, m)
	}
	slices.SortStableFunc(masks, func(a, b mask) int { return strings.Compare(a.text, b.text) })
	return masks
}

func parseMask(term *ast.Term) (mask, bool) {
	switch value := term.Value.(type) {
	case ast.String:
		return mask{text: string(value)}, true
	case ast.Object:
		op, isOp := stringAt(value, keyOp)
		path, isPath := stringAt(value, keyPath)
		replace := value.Get(keyValue)
		switch {
		case !isOp || !isPath:
		case op == "remove" && (value.Len() == 2 || value.Len() == 3 && replace != nil):
			return mask{text: path}, true
		case op == "upsert" && value.Len() == 3 && replace != nil:
			return mask{text: path, upsert: true, replace: replace}, true
		}
	}
	return mask{}, false
}

// apply masks a copy of the line. It removes values first, so that a value that replaces another one stays.
func apply(masks []mask, input ast.Value) (Masked, error) {
	plain, err := ast.JSON(input)
	event, ok := plain.(map[string]any)
	if err != nil || !ok {
		return Masked{}, &Error{Eval, errors.New("reading the input: the line is not a JSON object")}
	}
	masked := Masked{Event: event}
	for _, m := range masks {
		if !m.upsert && remove(event, m.path) {
			masked.Erased = append(masked.Erased, m.text)
		}
	}
	for _, m := range masks {
		if !m.upsert {
			continue
		}
		value, err := ast.JSON(m.replace.Value)
		if err != nil {
			return Masked{}, &Error{WrongType, errors.New("mask has a value that is not JSON")}
		}
		if upsert(event, m.path, value) {
			masked.Replaced = append(masked.Replaced, m.text)
		}
	}
	return masked, nil
}
