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
	attributes, _ := d.attribute(n, 1).(map[string]any)
	return attributes
}

func (d *decoder) attribute(n *node, depth int) any {
	if depth > maxAttributeDepth {
		d.problems.add(n.at, "attributes are nested deeper than %d", maxAttributeDepth)
		return nil
	}
	switch n.kind {
	case boolKind:
		return n.text == "true"
	case numberKind:
		return d.attributeNumber(n)
	case stringKind:
		d.notSecret(n, "attributes")
		return n.text
	case listKind:
		list := []any{}
		for item := range d.items(n, "attributes") {
			list = append(list, d.attribute(item, depth+1))
		}
		return list
	case mappingKind:
		members := map[string]any{}
		for name, value := range d.members(n, "attributes") {
			members[name.text] = d.attribute(value, depth+1)
		}
		return members
	}
	return nil
}

// attributeNumber accepts numbers that are valid in JSON and fit a float64, so that a policy reads the number that was
// written. It refuses 0x1F, 017, 1_000 and .inf, which only YAML has.
func (d *decoder) attributeNumber(n *node) any {
	_, err := strconv.ParseFloat(n.text, 64)
	if err != nil || len(n.text) > maxAttributeNumber || !jsontext.Value(n.text).IsValid() {
		d.problems.add(n.at, "a number in attributes must be a JSON number: write it as one, or put it in quotes")
		return nil
	}
	return json.Number(n.text)
}
