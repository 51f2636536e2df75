package registry

import (
	"encoding/json"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxAttributeDepth  = 16
	maxAttributeNumber = 64 // characters
)

func (d *decoder) attributes(n *node) map[string]any {
	if !d.is(n, mappingKind, "attributes") {
		return nil
	}
	attributes, _ := d.value(n, "attributes", 1).(map[string]any)
	return attributes
}

// value reads a JSON value, which is part of what.
func (d *decoder) value(n *node, what string, depth int) any {
	if depth > maxAttributeDepth {
		d.problems.add(n.at, "%s are nested deeper than %d", what, maxAttributeDepth)
		return nil
	}
	switch n.kind {
	case boolKind:
		return n.text == "true"
	case numberKind:
		return d.number(n, what)
	case stringKind:
		d.notSecret(n, what)
		return n.text
	case listKind:
		list := []any{}
		for item := range d.items(n, what) {
			list = append(list, d.value(item, what, depth+1))
		}
		return list
	case mappingKind:
		members := map[string]any{}
		for name, value := range d.members(n, what) {
			members[name.text] = d.value(value, what, depth+1)
		}
		return members
	}
	return nil
}

// number accepts numbers that are valid in JSON and fit a float64, so that a policy reads the number that was
// written. It refuses 0x1F, 017, 1_000 and .inf, which only YAML has.
func (d *decoder) number(n *node, what string) any {
	_, err := strconv.ParseFloat(n.text, 64)
	if err != nil || len(n.text) > maxAttributeNumber || !jsontext.Value(n.text).IsValid() {
		d.problems.add(n.at, "a number in %s must be a JSON number: write it as one, or put it in quotes", what)
		return nil
	}
	return json.Number(n.text)
}
