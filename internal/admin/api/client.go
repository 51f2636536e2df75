package api

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// Client is a client as the API, the audit log and events show it: without the hashes of its secrets.
type Client struct {
	ID          string         `json:"id"`
	Description string         `json:"description"`
	Attributes  map[string]any `json:"attributes"`
	TokenTTL    string         `json:"token_ttl,omitempty"`
	Disabled    bool           `json:"disabled"`
	Expires     time.Time      `json:"expires,omitzero"`
	Audiences   []string       `json:"audiences"`
	Introspects []string       `json:"introspects,omitempty"`
	Networks    []netip.Prefix `json:"networks"`
	Limits      *Limits        `json:"limits,omitempty"`
	Auth        string         `json:"auth,omitempty"`
	Keys        []ClientKey    `json:"keys,omitempty"`
	JWKSURI     string         `json:"jwks_uri,omitempty"`
	Identities  []Identity     `json:"identities,omitempty"`
	Certificate
	// Unused are the methods for which the client has credentials and which Auth does not allow.
	Unused []string `json:"unused,omitempty"`
	// Excluded are the methods for which the client has credentials and which Auth allows, if the issuer takes none of them.
	Excluded         []string `json:"excluded,omitempty"`
	CertificateBound bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPBound        bool     `json:"dpop_bound_access_tokens,omitempty"`
	Secrets          []Secret `json:"secrets"`
	Grants           []Grant  `json:"grants"`
}

// ClientKey describes a public key of a client.
type ClientKey struct {
	KID        string    `json:"kid,omitempty"`
	Alg        string    `json:"alg,omitempty"`
	Thumbprint string    `json:"thumbprint"`
	LastUsed   time.Time `json:"last_used,omitzero"`
}

// ClientKeyList is the public keys of a client.
type ClientKeyList struct {
	Keys []ClientKey `json:"keys"`
}

// Identity is a subject of another issuer that may act as a client.
type Identity struct {
	Issuer         string         `json:"issuer"`
	Subject        string         `json:"subject,omitempty"`
	SubjectPattern string         `json:"subject_pattern,omitempty"`
	Type           string         `json:"type,omitempty"`
	Claims         map[string]any `json:"claims,omitempty"`
}

// Certificate says which client certificates authenticate a client (RFC 8705 §2.1.2).
type Certificate struct {
	SubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	SANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	SANURI    string `json:"tls_client_auth_san_uri,omitempty"`
	SANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	SANEmail  string `json:"tls_client_auth_san_email,omitempty"`
}

// Shown returns the field that is set, for people, or "". As a String method it would be that of Client, too, and logs would show a
// client by it.
func (c Certificate) Shown() string {
	for _, field := range [][2]string{
		{"subject", c.SubjectDN}, {"SAN DNS", c.SANDNS}, {"SAN URI", c.SANURI}, {"SAN IP", c.SANIP}, {"SAN email", c.SANEmail},
	} {
		if field[1] != "" {
			return field[0] + " " + field[1]
		}
	}
	return ""
}

// HoldsOtherCredential reports whether the client has another credential than a secret.
func (c *Client) HoldsOtherCredential() bool {
	return len(c.Keys) > 0 || c.JWKSURI != "" || len(c.Identities) > 0 || c.Certificate != Certificate{}
}

// Limits are the limits of a client that replace the issuer's. A missing field means the issuer's value.
type Limits struct {
	Rate       string `json:"rate,omitempty"`
	Burst      int    `json:"burst,omitempty"`
	Concurrent int    `json:"concurrent,omitempty"`
}

// String returns the limits for people, "-" if all are the issuer's.
func (l *Limits) String() string {
	if l == nil {
		return "-"
	}
	var parts []string
	if l.Rate != "" {
		parts = append(parts, "rate "+l.Rate)
	}
	if l.Burst != 0 {
		parts = append(parts, "burst "+strconv.Itoa(l.Burst))
	}
	if l.Concurrent != 0 {
		parts = append(parts, "concurrent "+strconv.Itoa(l.Concurrent))
	}
	return strings.Join(parts, ", ")
}

// State is "disabled", "expired" or "enabled".
func (c *Client) State() string {
	switch {
	case c.Disabled:
		return "disabled"
	case !c.Expires.IsZero() && !time.Now().Before(c.Expires):
		return "expired"
	}
	return "enabled"
}

// LiveSecrets counts the secrets that work.
func (c *Client) LiveSecrets() (live int) {
	for _, s := range c.Secrets {
		if s.Live {
			live++
		}
	}
	return live
}

// ClientList is a page of clients.
type ClientList struct {
	Clients []*Client `json:"clients"`
	Next    string    `json:"next,omitempty"`
}

// Secret describes a secret of a client.
type Secret struct {
	ID          string    `json:"id"`
	Fingerprint string    `json:"fingerprint"` // shows that another secret has taken the ID
	Created     time.Time `json:"created,omitzero"`
	Expires     time.Time `json:"expires,omitzero"`
	LastUsed    time.Time `json:"last_used,omitzero"`
	Imported    bool      `json:"imported,omitempty"` // another program made it
	Live        bool      `json:"live"`
}

// SecretList is the secrets of a client.
type SecretList struct {
	Secrets []Secret `json:"secrets"`
}

// CreatedSecret is the only answer that has a secret. It has none if the secret was imported.
type CreatedSecret struct {
	ClientID     string    `json:"client_id"`
	ClientSecret string    `json:"client_secret,omitempty"`
	SecretID     string    `json:"secret_id,omitempty"`
	Expires      time.Time `json:"expires,omitzero"`
	Old          []Secret  `json:"old,omitempty"`
	Client       *Client   `json:"client,omitempty"`
}

// Grant is a grant as a client has it.
type Grant struct {
	Resource    string   `json:"resource"`
	Identifiers []string `json:"identifiers"`
	Actions     []string `json:"actions"`
	Effect      string   `json:"effect"`
}

// ScopeGrant is a grant of one action on one identifier, written as a scope.
type ScopeGrant struct {
	Scope  string `json:"scope"`
	Effect string `json:"effect"`
}

// Parse checks the scope and the effect, which is "allow" by default.
func (g ScopeGrant) Parse() (s scope.Scope, deny bool, err error) {
	s, err = scope.Parse(g.Scope)
	if err != nil {
		return scope.Scope{}, false, Invalid("scope %q: %v", g.Scope, err)
	}
	if g.Effect != "" && g.Effect != scope.Allow && g.Effect != scope.Deny {
		return scope.Scope{}, false, Invalid(`effect must be "allow" or "deny"`)
	}
	return s, g.Effect == scope.Deny, nil
}

// Effect is the effect of a grant that denies or allows.
func Effect(deny bool) string { return scope.Grant{Deny: deny}.Effect() }

// GrantList is the grants of a client.
type GrantList struct {
	Grants []ScopeGrant `json:"grants"`
}

// ChangedGrants is the grants of a client after a change.
type ChangedGrants struct {
	Changed bool         `json:"changed"`
	Grants  []ScopeGrant `json:"grants"`
}

// Resource is a resource as the API, the audit log and events show it.
type Resource struct {
	Code        string            `json:"code"`
	Description string            `json:"description"`
	Audience    string            `json:"audience,omitempty"`
	Actions     map[string]string `json:"actions"`
	Attributes  map[string]any    `json:"attributes"`
}

// ResourceList is a page of resources.
type ResourceList struct {
	Resources []*Resource `json:"resources"`
	Next      string      `json:"next,omitempty"`
}

// Broken stands for an entry that cannot be read from storage.
type Broken struct {
	Broken string `json:"broken"`
}
