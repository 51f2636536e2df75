// Package registry holds the types and rules of clients, with their secrets and grants, and of resources, which scopes are
// about. Its entry points are the interface Registry, which answers lookups, and Parse, which reads a registry file. The
// package file follows such a file, and the package store keeps a registry in a storage. This package imports
// internal/scope, internal/clientcert, internal/credential, internal/percent and internal/suggest of this module.
package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// ErrNotFound is the error for a client or a resource that does not exist. Any other error is a fault of the registry.
var ErrNotFound = errors.New("not in the registry")

// ErrRefused is what every *Refusal is. Answers to callers must not say more.
var ErrRefused = errors.New("client authentication failed")

// Refusal is the error for credentials that do not authenticate a client. The reason and the client are for the operator. The
// caller must not learn them.
type Refusal struct {
	// Reason is one of the constants.
	Reason string
	// ClientID is the client_id, "" if no client has it, or if a refusal that did not look it up does not know.
	ClientID string
}

// The reasons of a Refusal. They are also labels of a metric.
const (
	UnknownClient   = "unknown_client"
	MalformedSecret = "malformed_secret" // CheckSecret and CheckImport refuse it
	WrongSecret     = "wrong_secret"
	SecretExpired   = "secret_expired"
	ClientDisabled  = "client_disabled"
	ClientExpired   = "client_expired"
)

// Proof checks what a caller proves to be a client with, such as a certificate. It returns the reason of a Refusal, "" if the
// caller is the client. For a client that does not exist it gets one without credentials. It must not do less work for that.
type Proof func(*Client) (reason string)

// Error returns the text of ErrRefused.
func (*Refusal) Error() string { return ErrRefused.Error() }

// Is reports whether target is ErrRefused.
func (*Refusal) Is(target error) bool { return target == ErrRefused }

// Registry holds clients and resources. It is safe for concurrent use. The values that it returns are shared and must not
// be changed.
type Registry interface {
	// Client returns the client with that client_id (RFC 6749 §2.2), even if it is disabled, or ErrNotFound.
	Client(ctx context.Context, id string) (*Client, error)
	// Authenticate returns the client and the ID of its secret, if the secret works at now, or else a *Refusal. The work
	// does not depend on the reason for a refusal.
	Authenticate(ctx context.Context, id, secret string, now time.Time) (client *Client, secretID string, err error)
	// AuthenticateBy returns the client if a proof other than a secret is its own, or else a *Refusal. The proof may be checked
	// twice. The work of the registry does not depend on the reason for a refusal.
	AuthenticateBy(ctx context.Context, id string, proof Proof, now time.Time) (*Client, error)
	// ClientsFor returns the clients that have an identity which covers a subject of an issuer (see Identity.Covers), even if
	// they are disabled. There are several only if their identities require claims that exclude each other. The caller has
	// verified an assertion of the issuer, and compares its claims and its type.
	ClientsFor(ctx context.Context, issuer, subject string) ([]*Client, error)
	// Resource returns the resource with that code, or ErrNotFound.
	Resource(ctx context.Context, code string) (*Resource, error)
	// Resources returns all resources, sorted by code.
	Resources(ctx context.Context) ([]*Resource, error)
	// ClientIDs returns the client_ids that begin with prefix and come after the id after, in the order of their bytes.
	// It returns at most limit of them if limit is positive.
	ClientIDs(ctx context.Context, prefix, after string, limit int) ([]string, error)
	// Revision returns a text that changes when the content does.
	Revision() string
}

// Client is a machine that asks for tokens.
type Client struct {
	// ID is the client_id; CheckClientID says which are valid.
	ID string
	// Description is for people.
	Description string
	// Attributes are for policies. Their values are those of encoding/json, with json.Number for numbers.
	Attributes map[string]any
	// TokenTTL is the lifetime of the client's tokens in whole seconds. 0 means the issuer's.
	TokenTTL time.Duration
	// Disabled clients cannot authenticate.
	Disabled bool
	// Expires is when the client can no longer authenticate. The zero time means never.
	Expires time.Time
	// Audiences are the only audiences that the client's tokens may have. None means all.
	Audiences []string
	// Introspects are the audiences whose tokens the client may introspect in addition to its own tokens. It is for an API
	// that introspects the tokens of its callers.
	Introspects []string
	// Networks are the networks from which the client may request tokens. The shipped policy checks them. None means all.
	Networks []netip.Prefix
	// Limits replace the issuer's limits for the client. A zero field means the issuer's value.
	Limits Limits
	// Auth is the only method by which the client may authenticate, one of Methods. "" means any for which the client has
	// credentials. See Allows.
	Auth string
	// Keys are the client's public keys, at most MaxKeys. Its key set may be at JWKSURI instead.
	Keys []Key
	// JWKSURI is the URL of the client's JWK Set (RFC 7591 §2), or "".
	JWKSURI string
	// Identities are subjects of other issuers that may act as the client, at most MaxIdentities.
	Identities []Identity
	// Certificate says which certificates authenticate the client (RFC 8705 §2.1.2).
	Certificate Certificate
	// CertificateBound means that the client's tokens are bound to its certificate (RFC 8705 §3.4), and DPoPBound that they are
	// bound to the key of a DPoP proof (RFC 9449 §5.2). A request for a token without one is refused.
	CertificateBound, DPoPBound bool
	// Secrets are the client's secrets, at most MaxSecrets. With several, one can be replaced while it still works.
	Secrets []Secret
	// Grants say what the client may do, and what it may not.
	Grants []scope.Grant
	// Damage is why the stored object cannot be used. Only a function that edits the client sees such a client, which has
	// nothing else but its ID. No lookup returns it.
	Damage error
}

// Secret is what a registry keeps of a client's secret.
type Secret struct {
	// ID names the secret within its client.
	ID string
	// SHA256 is the hash of the secret's text.
	SHA256 [32]byte
	// Created is when the secret was made. The zero time means unknown.
	Created time.Time
	// Expires is when the secret stops working. The zero time means never.
	Expires time.Time
	// Imported means that another program made the secret. Such a secret works only if CheckImport accepts it, and any
	// other only if CheckSecret does.
	Imported bool
}

// Fingerprint returns 8 hex digits that distinguish the secret from another of the same ID in logs and lists. They are of
// the SHA-256 of the hash, which reveals neither the hash nor the secret.
func (s Secret) Fingerprint() string {
	sum := sha256.Sum256(s.SHA256[:])
	return hex.EncodeToString(sum[:4])
}

// Resource is what scopes are about.
type Resource struct {
	// Code is the first segment of the resource's scopes.
	Code string
	// Description is for people.
	Description string
	// Audience is the URI in the aud claim of tokens for the resource. "" means the issuer's audience.
	Audience string
	// Actions are the descriptions of the operations on the resource, by the names of the actions.
	Actions map[string]string
	// Attributes are for policies, like those of a Client.
	Attributes map[string]any
	// Damage is why the stored object cannot be used, like that of a Client.
	Damage error
}
