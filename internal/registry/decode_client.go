package registry

import (
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

var clientSchema = schema[Client]{
	what: "a client",
	fields: map[string]func(*decoder, *node, *Client){
		"description": func(d *decoder, n *node, c *Client) { c.Description = d.text(n, "description") },
		"attributes":  func(d *decoder, n *node, c *Client) { c.Attributes = d.attributes(n) },
		"token_ttl":   func(d *decoder, n *node, c *Client) { c.TokenTTL = d.tokenTTL(n) },
		"disabled":    func(d *decoder, n *node, c *Client) { c.Disabled = d.bool(n, "disabled") },
		"expires":     func(d *decoder, n *node, c *Client) { c.Expires = d.time(n, "expires") },
		"audiences":   func(d *decoder, n *node, c *Client) { c.Audiences = d.audiences(n, "audiences") },
		"introspects": func(d *decoder, n *node, c *Client) { c.Introspects = d.audiences(n, "introspects") },
		"networks":    func(d *decoder, n *node, c *Client) { c.Networks = d.networks(n) },
		"secrets":     func(d *decoder, n *node, c *Client) { c.Secrets = d.secrets(n, c.ID) },
		"grants":      func(d *decoder, n *node, c *Client) { c.Grants = d.grants(n) },
	},
}

func (d *decoder) client(id, n *node) *Client {
	if err := CheckClientID(id.text); err != nil {
		d.problems.add(id.at, "a client's id: %v", err)
	}
	c := &Client{ID: id.text}
	clientSchema.read(d, n, c)
	return c
}

func (d *decoder) grants(n *node) []scope.Grant {
	grants := make([]scope.Grant, 0, len(n.children))
	for item := range d.items(n, "grants") {
		grants = append(grants, d.grant(item))
	}
	return grants
}

// audiences refuses an empty list, which would mean all audiences.
func (d *decoder) audiences(n *node, what string) []string {
	audiences := make([]string, 0, len(n.children))
	for item := range d.items(n, what) {
		audience := d.audience(item)
		if slices.Contains(audiences, audience) {
			d.problems.add(item.at, "duplicate audience %s", quoted(audience))
		}
		if audience != "" {
			audiences = append(audiences, audience)
		}
	}
	d.notEmpty(n, what)
	return audiences
}
