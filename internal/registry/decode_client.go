package registry

import "github.com/caddy-m2m/caddy-m2m/internal/scope"

var clientShape = shape[Client]{
	what: "a client",
	fields: map[string]func(*decoder, *node, *Client){
		"description": func(d *decoder, n *node, c *Client) { c.Description = d.text(n, "description") },
		"attributes":  func(d *decoder, n *node, c *Client) { c.Attributes = d.attributes(n) },
		"token_ttl":   func(d *decoder, n *node, c *Client) { c.TokenTTL = d.tokenTTL(n) },
		"disabled":    func(d *decoder, n *node, c *Client) { c.Disabled = d.bool(n, "disabled") },
		"secrets":     func(d *decoder, n *node, c *Client) { c.Secrets = d.secrets(n, c.ID) },
		"grants":      func(d *decoder, n *node, c *Client) { c.Grants = d.grants(n) },
	},
}

func (d *decoder) client(id, n *node) *Client {
	if err := CheckClientID(id.text); err != nil {
		d.problems.add(id.at, "a client's id: %v", err)
	}
	c := &Client{ID: id.text}
	clientShape.read(d, n, c)
	return c
}

func (d *decoder) grants(n *node) []scope.Grant {
	grants := make([]scope.Grant, 0, len(n.children))
	for item := range d.items(n, "grants") {
		grants = append(grants, d.grant(item))
	}
	return grants
}
