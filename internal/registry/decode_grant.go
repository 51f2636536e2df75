package registry

import (
	"maps"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// grant is a grant as it stands in the file. The nodes are kept to check actions once the resource
// is known, in whatever order the fields are.
type grant struct {
	scope.Grant
	resource, actions *node
}

var grantShape = shape[grant]{
	what: "a grant",
	fields: map[string]func(*decoder, *node, *grant){
		"resource":    func(_ *decoder, n *node, g *grant) { g.resource = n },
		"identifiers": func(d *decoder, n *node, g *grant) { g.Identifiers = d.identifiers(n) },
		"actions":     func(_ *decoder, n *node, g *grant) { g.actions = n },
		"effect":      func(d *decoder, n *node, g *grant) { g.Deny = d.effect(n) },
	},
	required: []string{"resource", "identifiers", "actions"},
}

func (d *decoder) grant(n *node) scope.Grant {
	var g grant
	grantShape.read(d, n, &g)
	known := d.actions
	if g.resource != nil {
		g.Resource, known = d.grantResource(g.resource)
	}
	if g.actions != nil {
		g.Actions = d.grantActions(g.actions, known)
	}
	return g.Grant
}

// grantResource is a grant's resource, and the actions that it has: nil when it is unknown, and
// those of all resources for "*".
func (d *decoder) grantResource(n *node) (code string, actions map[string]string) {
	code = d.text(n, "resource")
	if n.kind != stringKind {
		return "", nil
	}
	if code == scope.Any {
		return scope.Any, d.actions
	}
	r, ok := d.resources[code]
	if !ok {
		d.problems.add(n.at, "unknown resource %s%v", quoted(code), hint{code, maps.Keys(d.resources)})
		return code, nil
	}
	return r.Code, r.Actions
}

func (d *decoder) grantActions(n *node, known map[string]string) []string {
	actions := make([]string, 0, len(n.children))
	for item := range d.items(n, "actions") {
		action := d.text(item, "an action")
		if item.kind != stringKind {
			continue
		}
		if _, ok := known[action]; !ok && action != scope.Any && known != nil {
			d.problems.add(item.at, "unknown action %s%v", quoted(action), hint{action, maps.Keys(known)})
		}
		actions = append(actions, d.shared(action))
	}
	d.notEmpty(n, "actions")
	return actions
}

// shared is the one copy of an action's name that all grants hold.
func (d *decoder) shared(action string) string {
	if same, ok := d.actions[action]; ok {
		return same
	}
	return action
}

func (d *decoder) identifiers(n *node) []string {
	identifiers := make([]string, 0, len(n.children))
	for item := range d.items(n, "identifiers") {
		id := d.text(item, "an identifier")
		if item.kind != stringKind {
			continue
		}
		d.checkIdentifier(item.at, id)
		identifiers = append(identifiers, id)
	}
	d.notEmpty(n, "identifiers")
	return identifiers
}

// effect reports whether a grant denies. Whatever is not "allow" denies, though it is reported too.
func (d *decoder) effect(n *node) (deny bool) {
	if n.kind == stringKind && n.text == "allow" {
		return false
	}
	if n.kind != stringKind || n.text != "deny" {
		d.problems.add(n.at, `effect must be "allow" or "deny"`)
	}
	return true
}

func (d *decoder) notEmpty(n *node, what string) {
	if n.kind == listKind && len(n.children) == 0 {
		d.problems.add(n.at, "%s must not be empty", what)
	}
}
