package policy

import (
	"fmt"
	"sync"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// TokenInput is the input document of a token decision.
type TokenInput struct {
	// Issuer is the URL of the issuer.
	Issuer string `json:"issuer"`
	// Client is the authenticated client, without its secret.
	Client *Client `json:"client"`
	// Scopes are the requested scopes in request order; empty for default_scopes.
	Scopes []scope.Scope `json:"scopes"`
	// Resources are the known resources that the scopes name, by code: {actions: [string], audience: string, attributes: object}.
	Resources map[string]*Resource `json:"resources"`
	// Request is the request itself.
	Request TokenRequest `json:"request"`
	// Subject is the party that the request's assertion of a trusted issuer is about, or the subject token of a token exchange
	// (RFC 8693). Other requests do not have it.
	Subject *Party `json:"subject,omitempty"`
	// Actor is the party that the actor token of a token exchange is about. Other requests do not have it.
	Actor *Party `json:"actor,omitempty"`
	// Time is the time that the policy sees. Default: the current time.
	Time time.Time `json:"-"`
}

// Client is an authenticated client, without its secrets. It must not change once a decision has used it: one Client stands
// for one version of the client in the registry and one method of authentication, so that what is derived from it is derived once.
type Client struct {
	// ID is the client_id.
	ID string `json:"id"`
	// AuthMethod is how the client authenticated, as in request.auth_method.
	AuthMethod string `json:"auth_method"`
	// Description is the client's description in the registry.
	Description string `json:"description"`
	// Attributes are the client's attributes in the registry, of any shape.
	Attributes map[string]any `json:"attributes"`
	// Audiences are the audiences that the client's tokens may have; empty if all.
	Audiences []string `json:"audiences"`
	// Networks are the networks from which the client may ask, in CIDR notation; empty if all.
	Networks []string `json:"networks"`
	// Grants are the client's grants.
	Grants []scope.Grant `json:"grants"`

	term    lazyTerm
	once    sync.Once
	made    derivedClient
	scanned scanned
}

// Resource is a known resource. Like a Client it must not change once a decision has used it.
type Resource struct {
	// Actions are the names of its actions.
	Actions []string `json:"actions"`
	// Audience is the aud of tokens for the resource: its own, or the issuer's.
	Audience string `json:"audience"`
	// Attributes are the resource's attributes in the registry, of any shape.
	Attributes map[string]any `json:"attributes"`

	term    lazyTerm
	scanned scanned
}

// TokenRequest describes the request itself.
type TokenRequest struct {
	// RemoteIP is the client's address without port and zone; empty if it is not known.
	RemoteIP string `json:"remote_ip"`
	// AuthMethod is the client's authentication method: client_secret_basic, client_secret_post and so on (RFC 7591 §2).
	AuthMethod string `json:"auth_method"`
	// Audience are the audiences of the request's resource parameters (RFC 8707); often empty.
	Audience []string `json:"audience"`
}

// TokenDecision is a policy's answer to a token request.
type TokenDecision struct {
	// Granted are the requested scopes that the token may hold, in request order.
	Granted []string
	// Rejected are all other requested scopes, in request order.
	Rejected []Rejection
	// Observed are the requested scopes that a rule on trial would reject, in request order. They are granted or
	// rejected independently of that.
	Observed []Rejection
	// BeyondSubject are the requested scopes that a token exchange may give although the subject token does not have them, in
	// request order. They may be granted or rejected.
	BeyondSubject []Widening
	// Claims are extra claims by name: JSON values, with numbers as json.Number. Names are not checked against the
	// claims that the issuer sets.
	Claims map[string]any
	// TTL is the longest lifetime that the policy allows, or 0 if it sets none.
	TTL time.Duration
	// Revision identifies the policy that decided.
	Revision string

	from *snapshot
}

// UnfitClaims returns the error of a decision whose claims cannot be in a token, because of err, and counts the decision as
// a failure. It names the places of the rules that give claims.
func (d TokenDecision) UnfitClaims(err error) *Error {
	if d.from == nil {
		return &Error{WrongType, fmt.Errorf("claims are unfit: %w", err)}
	}
	unfit := &Error{WrongType, fmt.Errorf("claims (%s) are unfit: %w", d.from.whereIs(tokenPackage, "claims"), err)}
	d.from.failed.add(unfit)
	return unfit
}

// Rejection is a scope that is not granted, and why.
type Rejection struct {
	// Scope is the scope as it was requested.
	Scope string
	// Reason is the policy's reason, or several joined by "; ". It is for logs and not for the client.
	Reason string
}

// Widening is a scope that a token exchange may give although the subject token does not have it, and why.
type Widening struct {
	// Scope is the scope as it was requested.
	Scope string
	// Reason is the policy's reason, or several joined by "; ". It is for logs and not for the client.
	Reason string
}
