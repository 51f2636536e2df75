package registry

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

const maxAudienceLength = 512

var resourceSchema = schema[Resource]{
	what: "a resource",
	fields: map[string]func(*decoder, *node, *Resource){
		"description": func(d *decoder, n *node, r *Resource) { r.Description = d.text(n, "description") },
		"audience":    func(d *decoder, n *node, r *Resource) { r.Audience = d.audience(n) },
		"actions":     func(d *decoder, n *node, r *Resource) { r.Actions = d.actionNames(n) },
		"attributes":  func(d *decoder, n *node, r *Resource) { r.Attributes = d.attributes(n) },
	},
	required: []string{"actions"},
}

func (d *decoder) resource(code, n *node) {
	if err := scope.CheckResource(code.text); err != nil {
		d.problems.add(code.at, "a resource's code: %v", err)
	}
	r := &Resource{Code: code.text}
	resourceSchema.read(d, n, r)
	d.resources[r.Code] = r
}

func (d *decoder) actionNames(n *node) map[string]string {
	actions := make(map[string]string)
	for name, description := range d.members(n, "actions") {
		if err := scope.CheckAction(name.text); err != nil {
			d.problems.add(name.at, "an action's name: %v", err)
		}
		actions[name.text] = d.text(description, "an action's description")
		d.actions[name.text] = name.text
	}
	if n.kind == mappingKind && len(actions) == 0 {
		d.problems.add(n.at, "a resource must have an action")
	}
	return actions
}

func (d *decoder) audience(n *node) string {
	audience := d.text(n, "audience")
	if n.kind != stringKind {
		return ""
	}
	if err := CheckAudience(audience); err != nil {
		d.problems.add(n.at, "audience: %v", err)
	}
	return audience
}

// CheckAudience returns an error if audience is not an absolute URI without a fragment. RFC 8707 §2 requires that of the
// resource parameter, in which clients name audiences.
func CheckAudience(audience string) error {
	u, err := url.Parse(audience)
	switch {
	case len(audience) > maxAudienceLength:
		return errors.New("too long")
	case err != nil || !u.IsAbs() || u.Host+u.Opaque+u.Path == "" || !isURIText(audience):
		return errors.New("must be an absolute URI")
	case strings.Contains(audience, "#"):
		return errors.New("must be a URI without a fragment")
	}
	return nil
}

// isURIText reports whether s has only characters that RFC 3986 allows. url.Parse accepts others.
func isURIText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	return true
}
