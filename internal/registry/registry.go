// Package registry knows who may ask for tokens: clients with their secrets and grants, and the
// resources that scopes are about.
//
// A Registry answers questions about single entries, so that one which loads them on demand can
// stand where a file stands. Two are here: a Snapshot, which is the content of one registry file,
// and a File, which follows a file as it changes.
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

// ErrNotFound is what a Registry answers for a client or a resource that it does not have. Any
// other error is a fault of the registry itself and says nothing about the entry.
var ErrNotFound = errors.New("not in the registry")

// ErrRefused is the error for credentials that do not authenticate a client: an unknown client, a wrong or expired
// secret, or a client that is disabled, expired or damaged. It does not say which.
var ErrRefused = errors.New("client authentication failed")

// Registry holds clients and resources. It is safe for concurrent use. What it returns is shared
// and must not be changed.
type Registry interface {
	// Client returns the client of that client_id (RFC 6749 §2.2), also when it is disabled.
	Client(ctx context.Context, id string) (*Client, error)
	// Authenticate returns the client whose secret works at now, and the ID of the secret, or ErrRefused. The work does
	// not depend on why it is refused.
	Authenticate(ctx context.Context, id, secret string, now time.Time) (client *Client, secretID string, err error)
	// Resource returns the resource of that code.
	Resource(ctx context.Context, code string) (*Resource, error)
	// Resources returns all resources, sorted by code.
	Resources(ctx context.Context) ([]*Resource, error)
	// ClientIDs returns client_ids in the order of their bytes: those that begin with prefix and come
	// behind after, at most limit; a limit of 0 is none.
	ClientIDs(ctx context.Context, prefix, after string, limit int) ([]string, error)
	// Revision names the content: it changes when the content does.
	Revision() string
}

// Client is a machine that asks for tokens.
type Client struct {
	// ID is the client_id; CheckClientID says which are taken.
	ID string
	// Description is for people.
	Description string
	// Attributes are handed to policies: strings, bools, nils, json.Numbers, []any and
	// map[string]any, as encoding/json has them.
	Attributes map[string]any
	// TokenTTL is the lifetime of the client's tokens, in whole seconds; 0 leaves it to the issuer.
	TokenTTL time.Duration
	// Disabled makes every secret of the client a wrong one.
	Disabled bool
	// Expires is when every secret of the client becomes a wrong one; the zero time is never.
	Expires time.Time
	// Audiences are the only ones that tokens of the client may have; none leaves all.
	Audiences []string
	// Introspects are the audiences whose tokens the client may introspect beside its own, whoever they
	// were issued to. It is for an API that asks about the tokens it is sent.
	Introspects []string
	// Networks are those the client may ask from. The shipped policy checks them; none leaves all.
	Networks []netip.Prefix
	// Secrets are those that Authenticate takes, at most MaxSecrets. Several let one be replaced
	// while the old one still works.
	Secrets []Secret
	// Grants are what the client may do.
	Grants []scope.Grant
	// Damage is why the stored object cannot be used, for who edits such a client: all that is known of it
	// is its ID. No lookup returns one.
	Damage error
}

// Secret is what is kept of a client's secret.
type Secret struct {
	// ID names the secret within its client.
	ID string
	// SHA256 is the hash of the secret's text.
	SHA256 [32]byte
	// Created is when the secret was made; the zero time is unknown.
	Created time.Time
	// Expires is when the secret stops working; the zero time is never.
	Expires time.Time
}

// Fingerprint tells the secret from another of the same ID, in logs and lists: 8 hex digits of the SHA-256
// of the hash, from which neither the hash nor the secret can be made.
func (s Secret) Fingerprint() string {
	sum := sha256.Sum256(s.SHA256[:])
	return hex.EncodeToString(sum[:4])
}

// Resource is something that scopes are about.
type Resource struct {
	// Code is the first segment of the resource's scopes.
	Code string
	// Description is for people.
	Description string
	// Audience is the URI that tokens for the resource carry in aud; "" is the issuer's.
	Audience string
	// Actions are what can be done with the resource: their names, with descriptions for people.
	Actions map[string]string
	// Attributes are handed to policies, as those of a Client.
	Attributes map[string]any
	// Damage is why the stored object cannot be used, as that of a Client.
	Damage error
}
