package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

var clientSchema = schema[Client]{
	what: "a client",
	fields: map[string]func(*decoder, *node, *Client){
		"description":         func(d *decoder, n *node, c *Client) { c.Description = d.text(n, "description") },
		"attributes":          func(d *decoder, n *node, c *Client) { c.Attributes = d.attributes(n) },
		"token_ttl":           func(d *decoder, n *node, c *Client) { c.TokenTTL = d.tokenTTL(n) },
		"disabled":            func(d *decoder, n *node, c *Client) { c.Disabled = d.bool(n, "disabled") },
		"expires":             func(d *decoder, n *node, c *Client) { c.Expires = d.time(n, "expires") },
		"audiences":           func(d *decoder, n *node, c *Client) { c.Audiences = d.audiences(n, "audiences") },
		"introspects":         func(d *decoder, n *node, c *Client) { c.Introspects = d.audiences(n, "introspects") },
		"networks":            func(d *decoder, n *node, c *Client) { c.Networks = d.networks(n) },
		"limits":              func(d *decoder, n *node, c *Client) { c.Limits = d.limits(n) },
		"auth":                func(d *decoder, n *node, c *Client) { c.Auth = d.auth(n) },
		"jwks":                func(d *decoder, n *node, c *Client) { c.Keys = d.keySet(n) },
		"jwks_uri":            func(d *decoder, n *node, c *Client) { c.JWKSURI = d.httpsURL(n, "jwks_uri") },
		"identities":          func(d *decoder, n *node, c *Client) { c.Identities = d.identities(n, c) },
		fieldSubjectDN:        func(d *decoder, n *node, c *Client) { d.certificate(n, c, fieldSubjectDN, &c.Certificate.SubjectDN) },
		fieldSANDNS:           func(d *decoder, n *node, c *Client) { d.certificate(n, c, fieldSANDNS, &c.Certificate.SANDNS) },
		fieldSANURI:           func(d *decoder, n *node, c *Client) { d.certificate(n, c, fieldSANURI, &c.Certificate.SANURI) },
		fieldSANIP:            func(d *decoder, n *node, c *Client) { d.certificate(n, c, fieldSANIP, &c.Certificate.SANIP) },
		fieldSANEmail:         func(d *decoder, n *node, c *Client) { d.certificate(n, c, fieldSANEmail, &c.Certificate.SANEmail) },
		fieldCertificateBound: func(d *decoder, n *node, c *Client) { c.CertificateBound = d.bool(n, fieldCertificateBound) },
		fieldDPoPBound:        func(d *decoder, n *node, c *Client) { c.DPoPBound = d.bool(n, fieldDPoPBound) },
		"secrets":             func(d *decoder, n *node, c *Client) { c.Secrets = d.secrets(n, c.ID) },
		"grants":              func(d *decoder, n *node, c *Client) { c.Grants = d.grants(n) },
	},
}

func (d *decoder) client(id, n *node) *Client {
	if err := CheckClientID(id.text); err != nil {
		d.problems.add(id.at, "a client's id: %v", err)
	}
	c, before := &Client{ID: id.text}, d.problems.total
	clientSchema.read(d, n, c)
	if d.problems.total == before { // what a wrong field leaves out is not missing
		d.checkCredentials(n, c)
	}
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

// MaxIDLength is the greatest number of bytes of a client's or a secret's id.
const MaxIDLength = 128

// CheckClientID returns an error if id is not valid as a client_id. An id has 1 to MaxIDLength of the printable ASCII
// characters that RFC 6749 allows (appendix A.1), so it can be a URI such as https://app.example.com/x or urn:app. The
// exceptions are
//
//   - "%" and space: Basic authentication carries the form-encoded id (RFC 6749 §2.3.1), many clients send it without
//     encoding, and both must mean the same client;
//   - `"` and `\`, because ids are in quoted strings of headers and logs;
//   - a URI that has a password or another credential, because logs leave that out, and two ids would look the same.
//
// Errors do not repeat the id.
func CheckClientID(id string) error {
	if id == "" {
		return errors.New("empty")
	}
	if len(id) > MaxIDLength {
		return fmt.Errorf("longer than %d bytes", MaxIDLength)
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || strings.IndexByte(`%"\`, c) >= 0 {
			return fmt.Errorf("character 0x%02x at byte %d is not allowed", c, i+1)
		}
	}
	if strings.Contains(id, ":") && credential.MaskURI(id) != id {
		return errors.New("a URI with a password or another credential is not allowed")
	}
	return nil
}
