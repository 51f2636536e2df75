package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// clientEntry is the JSON of a client in a registry file and in a stored object.
type clientEntry struct {
	Description string          `json:"description,omitempty"`
	Attributes  map[string]any  `json:"attributes,omitempty"`
	TokenTTL    string          `json:"token_ttl,omitempty"`
	Disabled    bool            `json:"disabled,omitempty"`
	Expires     time.Time       `json:"expires,omitzero"`
	Audiences   []string        `json:"audiences,omitempty"`
	Introspects []string        `json:"introspects,omitempty"`
	Networks    []netip.Prefix  `json:"networks,omitempty"`
	Limits      *limitsEntry    `json:"limits,omitempty"`
	Auth        string          `json:"auth,omitempty"`
	JWKS        *jwks           `json:"jwks,omitempty"`
	JWKSURI     string          `json:"jwks_uri,omitempty"`
	Identities  []identityEntry `json:"identities,omitempty"`
	certificateEntry
	CertificateBound bool          `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPBound        bool          `json:"dpop_bound_access_tokens,omitempty"`
	Secrets          []secretEntry `json:"secrets,omitempty"`
	Grants           []grantEntry  `json:"grants,omitempty"`
}

type identityEntry struct {
	Issuer         string         `json:"issuer"`
	Subject        string         `json:"subject,omitempty"`
	SubjectPattern string         `json:"subject_pattern,omitempty"`
	Type           string         `json:"type,omitempty"`
	Claims         map[string]any `json:"claims,omitempty"`
}

type certificateEntry struct {
	SubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	SANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	SANURI    string `json:"tls_client_auth_san_uri,omitempty"`
	SANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	SANEmail  string `json:"tls_client_auth_san_email,omitempty"`
}

type secretEntry struct {
	ID       string    `json:"id"`
	SHA256   string    `json:"sha256"`
	Imported bool      `json:"imported,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
}

type grantEntry struct {
	Resource    string   `json:"resource"`
	Identifiers []string `json:"identifiers"`
	Actions     []string `json:"actions"`
	Effect      string   `json:"effect,omitempty"`
}

type resourceEntry struct {
	Description string            `json:"description,omitempty"`
	Audience    string            `json:"audience,omitempty"`
	Actions     map[string]string `json:"actions"`
	Attributes  map[string]any    `json:"attributes,omitempty"`
}

// MarshalJSON returns the client's entry in a registry file, without the id, which is the entry's name.
func (c *Client) MarshalJSON() ([]byte, error) {
	e := clientEntry{
		Description: c.Description, Attributes: c.Attributes, Disabled: c.Disabled, Expires: c.Expires,
		Audiences: c.Audiences, Introspects: c.Introspects, Networks: c.Networks, Limits: c.Limits.entry(),
		Auth: c.Auth, JWKS: jwksOf(c.Keys), JWKSURI: c.JWKSURI, certificateEntry: certificateEntry(c.Certificate),
		CertificateBound: c.CertificateBound, DPoPBound: c.DPoPBound,
	}
	for _, i := range c.Identities {
		e.Identities = append(e.Identities, i.entry())
	}
	if c.TokenTTL > 0 {
		e.TokenTTL = c.TokenTTL.String()
	}
	for _, s := range c.Secrets {
		e.Secrets = append(e.Secrets, secretEntry{ID: s.ID, SHA256: hashText(s.SHA256), Imported: s.Imported, Created: s.Created, Expires: s.Expires})
	}
	for _, g := range c.Grants {
		entry := grantEntry{Resource: g.Resource, Identifiers: g.Identifiers, Actions: g.Actions}
		if g.Deny {
			entry.Effect = scope.Deny
		}
		e.Grants = append(e.Grants, entry)
	}
	return json.Marshal(e)
}

func (i Identity) entry() identityEntry {
	e := identityEntry(i)
	if e.Type == TypeJWT {
		e.Type = ""
	}
	return e
}

func (e identityEntry) identity() Identity {
	i := Identity(e)
	i.Type = i.kind()
	return i
}

// MarshalJSON returns the resource's entry in a registry file, without the code, which is the entry's name.
func (r *Resource) MarshalJSON() ([]byte, error) {
	return json.Marshal(resourceEntry{r.Description, r.Audience, r.Actions, r.Attributes})
}

// DecodeClient decodes a client that MarshalJSON encoded. It is fast and checks no rules, because a stored object has a
// checksum. ParseClient is for text from elsewhere.
func DecodeClient(id string, data []byte) (*Client, error) {
	var e clientEntry
	if err := unmarshal(data, &e); err != nil {
		return nil, err
	}
	c := &Client{
		ID: id, Description: e.Description, Attributes: e.Attributes, Disabled: e.Disabled, Expires: e.Expires,
		Audiences: e.Audiences, Introspects: e.Introspects, Networks: e.Networks,
		Auth: e.Auth, Keys: e.JWKS.keys(), JWKSURI: e.JWKSURI, Certificate: Certificate(e.certificateEntry),
		CertificateBound: e.CertificateBound, DPoPBound: e.DPoPBound,
	}
	for _, i := range e.Identities {
		c.Identities = append(c.Identities, i.identity())
	}
	limits, err := e.Limits.limits()
	if err != nil {
		return nil, err
	}
	c.Limits = limits
	if e.TokenTTL != "" {
		ttl, err := time.ParseDuration(e.TokenTTL)
		if err != nil {
			return nil, fmt.Errorf("token_ttl: %w", err)
		}
		c.TokenTTL = ttl
	}
	for _, s := range e.Secrets {
		sum, err := base64.RawURLEncoding.DecodeString(s.SHA256)
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("secret %s: its hash is not valid", s.ID)
		}
		c.Secrets = append(c.Secrets, Secret{ID: s.ID, SHA256: [32]byte(sum), Imported: s.Imported, Created: s.Created, Expires: s.Expires})
	}
	for _, g := range e.Grants {
		deny := g.Effect != "" && g.Effect != scope.Allow // any other effect denies
		c.Grants = append(c.Grants, scope.Grant{Resource: g.Resource, Identifiers: g.Identifiers, Actions: g.Actions, Deny: deny})
	}
	return c, nil
}

// DecodeResource decodes a resource that MarshalJSON encoded, as DecodeClient does for a client.
func DecodeResource(code string, data []byte) (*Resource, error) {
	var e resourceEntry
	if err := unmarshal(data, &e); err != nil {
		return nil, err
	}
	return &Resource{Code: code, Description: e.Description, Audience: e.Audience, Actions: e.Actions, Attributes: e.Attributes}, nil
}

// unmarshal keeps numbers as they were written, because policies read them so.
func unmarshal(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// VersionOf returns a hash of the content of a *Client or a *Resource, for use in an ETag (RFC 9110 §8.8.3).
func VersionOf(entry any) string {
	data, err := json.Marshal(entry)
	if err != nil {
		return "" // not expected; differs from every version
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
