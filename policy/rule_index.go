package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// ruleIndex finds the rule at a place in a file.
type ruleIndex map[string][]rulePlace

type rulePlace struct {
	row  int
	path string // of the package
	name string
}

// isOf reports whether the place defines a rule or a part of it, such as claims.team of claims.
func (p rulePlace) isOf(path, rule string) bool {
	if p.path != path {
		return false
	}
	rest, ok := strings.CutPrefix(p.name, rule)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func indexRules(modules map[string]*ast.Module) ruleIndex {
	index := make(ruleIndex, len(modules))
	for file, module := range modules {
		for _, rule := range module.Rules {
			name := rule.Head.Ref().GroundPrefix().String()
			index[file] = append(index[file], rulePlace{rule.Location.Row, packageOf(module), name})
		}
		slices.SortStableFunc(index[file], func(a, b rulePlace) int { return cmp.Compare(a.row, b.row) })
	}
	return index
}

// prefix returns "rule name: " for the rule at a place, or "".
func (index ruleIndex) prefix(location *ast.Location) string {
	if location == nil {
		return ""
	}
	name := ""
	for _, place := range index[location.File] {
		if place.row > location.Row {
			break
		}
		name = place.name
	}
	if name == "" {
		return ""
	}
	return "rule " + name + ": "
}

// whereIs lists the authors' places of a rule of the contract, because the value does not tell which of them gave it.
func (s *snapshot) whereIs(path, rule string) string {
	const enough = 5
	var places []string
	for file, rules := range s.rules {
		for _, place := range rules {
			if place.isOf(path, rule) && !isShipped(file) {
				places = append(places, fmt.Sprintf("%s:%d", file, place.row))
			}
		}
	}
	slices.Sort(places)
	if len(places) > enough {
		places = append(places[:enough], "…")
	}
	return strings.Join(places, ", ")
}
