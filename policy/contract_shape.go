package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/types"
)

// shape is the type that a rule of a contract must have.
type shape struct {
	isObject bool
	// member is the type of a set's members or an object's values: types.S, types.N, or types.A for any.
	member types.Type
	// keys are those of members that are objects of strings; there are no others. Default: members are not objects.
	keys []string
}

func shapeOf(t typed) shape {
	switch {
	case t.name == "claims":
		return shape{isObject: true, member: types.A}
	case t.name == "headers":
		return shape{isObject: true, member: types.S}
	case t.name == "ttl":
		return shape{member: types.N}
	case t.name == "mask":
		return shape{member: types.Or(types.S, types.NewObject(nil, types.NewDynamicProperty(types.S, types.A)))}
	case t.name == "rejected", t.name == "beyond_subject", t.name == "observed" && t.contract.path == tokenPackage:
		return shape{keys: []string{"reason", "scope"}}
	case t.name == "denied", t.name == "observed":
		return shape{keys: []string{"reason"}}
	}
	return shape{member: types.S}
}

// isSurely reports whether each value of the type has the shape.
func (s shape) isSurely(t types.Type) bool {
	switch t := t.(type) {
	case *types.Set:
		return !s.isObject && s.isSurelyMember(t.Of())
	case *types.Object:
		if !s.isObject {
			return false
		}
		for _, p := range t.StaticProperties() {
			if _, ok := p.Key.(string); !ok || !s.isSurelyMember(p.Value) {
				return false
			}
		}
		d := t.DynamicProperties()
		return d == nil || is[types.String](d.Key) && s.isSurelyMember(d.Value)
	}
	return false
}

func (s shape) isSurelyMember(t types.Type) bool {
	if object, ok := t.(*types.Object); ok && s.keys != nil {
		return object.DynamicProperties() == nil && s.objectMismatch(object) == "" && s.hasStringsAt(object)
	}
	switch {
	case s.keys != nil || t == nil:
		return false
	case types.Compare(s.member, types.A) == 0:
		return true
	case len(unionOf(s.member)) > 1: // of masks, only constants are sure
		return false
	}
	return types.Compare(s.member, t) == 0
}

func (s shape) hasStringsAt(object *types.Object) bool {
	return !slices.ContainsFunc(object.StaticProperties(), func(p *types.StaticProperty) bool { return !is[types.String](p.Value) })
}

// mismatch says why no value of the type has the shape, or returns "".
func (s shape) mismatch(t types.Type) string {
	switch t := t.(type) {
	case *types.Set:
		if !s.isObject {
			return s.memberMismatch(t.Of())
		}
	case *types.Object:
		if s.isObject {
			return s.propertyMismatch(t)
		}
	}
	return "" // the form of the rule was checked before
}

func (s shape) propertyMismatch(object *types.Object) string {
	for _, p := range object.StaticProperties() {
		if _, ok := p.Key.(string); !ok {
			return "has a name that is not a string"
		}
		if wrong := s.memberMismatch(p.Value); wrong != "" {
			return wrong
		}
	}
	d := object.DynamicProperties()
	switch {
	case d == nil:
		return ""
	case !mayBe(d.Key, types.S):
		return "has a name that is " + typeName(d.Key) + " and not a string"
	}
	return s.memberMismatch(d.Value)
}

func (s shape) memberMismatch(t types.Type) string {
	if t == nil {
		return ""
	}
	if s.keys == nil {
		if mayBe(t, s.member) {
			return ""
		}
		return fmt.Sprintf("holds %s and not %s", typeName(t), typeName(s.member))
	}
	wrong := ""
	for _, one := range unionOf(t) {
		object, ok := one.(*types.Object)
		switch {
		case isAny(one):
			return ""
		case !ok:
			wrong = fmt.Sprintf("holds %s and not an object", typeName(one))
		default:
			if wrong = s.objectMismatch(object); wrong == "" {
				return ""
			}
		}
	}
	return wrong
}

// objectMismatch says why no object of the type has just the keys, with strings.
func (s shape) objectMismatch(object *types.Object) string {
	for _, p := range object.StaticProperties() {
		name, _ := p.Key.(string)
		switch {
		case !slices.Contains(s.keys, name):
			return fmt.Sprintf("holds an object with %q, which may only have %s", name, strings.Join(s.keys, " and "))
		case !mayBe(p.Value, types.S):
			return fmt.Sprintf("holds an object whose %q is %s and not a string", name, typeName(p.Value))
		}
	}
	for _, key := range s.keys {
		if types.Select(object, key) == nil {
			return fmt.Sprintf("holds an object without %q", key)
		}
	}
	return ""
}

// mayBe reports whether some values of the type are of one of the wanted types.
func mayBe(t, wanted types.Type) bool {
	if isAny(t) || isAny(wanted) {
		return true
	}
	for _, one := range unionOf(t) {
		for _, other := range unionOf(wanted) {
			if isAny(one) || fmt.Sprintf("%T", one) == fmt.Sprintf("%T", other) {
				return true
			}
		}
	}
	return false
}

// unionOf returns the types that a type is one of.
func unionOf(t types.Type) []types.Type {
	if union, ok := t.(types.Any); ok && len(union) > 0 {
		return union
	}
	return []types.Type{t}
}

func isAny(t types.Type) bool {
	union, ok := t.(types.Any)
	return t == nil || ok && len(union) == 0
}

func is[T types.Type](t types.Type) bool {
	_, ok := t.(T)
	return ok
}

// typeName returns a type with its article.
func typeName(t types.Type) string {
	names := make([]string, 0, 2)
	for _, one := range unionOf(t) {
		name, article := typeWord(one), "a "
		if strings.ContainsRune("aeiou", rune(name[0])) {
			article = "an "
		}
		if name == "null" {
			article = ""
		}
		names = append(names, article+name)
	}
	return strings.Join(slices.Compact(names), " or ")
}

func typeWord(t types.Type) string {
	word, _, _ := strings.Cut(types.Sprint(t), "[")
	word, _, _ = strings.Cut(word, "<")
	return word
}
