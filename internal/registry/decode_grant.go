package registry

import (
	"maps"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// grant is a grant in the file. It keeps the nodes so that actions can be checked when the resource is known, in whatever
// order the fields are.
type grant struct {
	scope.Grant
	resource, actions *node
}

var grantSchema = schema[grant]{
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
	grantSchema.read(d, n, &g)
	if g.resource != nil {
		g.Resource = d.text(g.resource, "resource")
	}
	if g.actions != nil {
		g.Actions = d.grantActions(g.actions)
	}
	d.checkNames(&g)
	return g.Grant
}

func (d *decoder) grantActions(n *node) []string {
	actions := make([]string, 0, len(n.children))
	for item := range d.items(n, "actions") {
		if action := d.text(item, "an action"); item.kind == stringKind {
			actions = append(actions, d.shared(action))
		}
	}
	d.notEmpty(n, "actions")
	return actions
}

// checkNames reports an unknown resource, and actions that the resource does not have. For the resource "*" it reports
// actions that no resource has. Grants that the stored client has remain valid, even if their resource has changed.
func (d *decoder) checkNames(g *grant) {
	known := d.actions
	if g.resource != nil && g.Resource != scope.Any {
		r, ok := d.resources[g.Resource]
		switch {
		case ok:
			g.Resource, known = r.Code, r.Actions
		case g.resource.kind != stringKind || d.stored.hasGrant(g.Grant):
			return
		default:
			d.problems.add(g.resource.at, "unknown resource %s%v", quoted(g.Resource), suggestion{g.Resource, maps.Keys(d.resources)})
			return
		}
	}
	if g.actions == nil {
		return
	}
	for i := range g.actions.children {
		item := &g.actions.children[i]
		_, ok := known[item.text]
		if item.kind == stringKind && !ok && item.text != scope.Any && !d.stored.hasGrant(g.Grant) {
			d.problems.add(item.at, "unknown action %s%v", quoted(item.text), suggestion{item.text, maps.Keys(known)})
		}
	}
}

// shared returns the copy of an action's name that all grants share.
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

// effect returns whether a grant denies. Any text other than "allow" denies, even if it is reported as a problem.
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
	if n.kind == listKind && len(d.children(n)) == 0 {
		d.problems.add(n.at, "%s must not be empty", what)
	}
}

// hasGrant reports whether the client has a grant with all that part has. A nil client has no grants.
func (c *Client) hasGrant(part scope.Grant) bool {
	return c != nil && slices.ContainsFunc(c.Grants, func(g scope.Grant) bool {
		return g.Resource == part.Resource && g.Deny == part.Deny &&
			containsAll(g.Identifiers, part.Identifiers) && containsAll(g.Actions, part.Actions)
	})
}

func containsAll(list, part []string) bool {
	return !slices.ContainsFunc(part, func(one string) bool { return !slices.Contains(list, one) })
}
