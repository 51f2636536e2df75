package policy

import (
	"fmt"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// TokenInput is what a policy sees of a token request: the input document.
type TokenInput struct {
	// Issuer is the URL of the issuer that was asked.
	Issuer string `json:"issuer"`
	// Client is who asks; never its secret.
	Client Client `json:"client"`
	// Scopes are the requested scopes in request order; empty when default_scopes is asked for.
	Scopes []scope.Scope `json:"scopes"`
	// Resources are the known resources that the scopes name, by code: {actions: [string], audience: string, attributes: object}.
	Resources map[string]Resource `json:"resources"`
	// Request is what is known of the request itself.
	Request TokenRequest `json:"request"`
	// Time is what the policy takes for now; the zero time is now.
	Time time.Time `json:"-"`
}

// Client is an authenticated client, without its secrets.
type Client struct {
	// ID is the client_id.
	ID string `json:"id"`
	// Description is the registry's remark on the client.
	Description string `json:"description"`
	// Attributes are what the registry says of the client, of any shape.
	Attributes map[string]any `json:"attributes"`
	// Audiences are the only ones that tokens of the client may have; empty: all.
	Audiences []string `json:"audiences"`
	// Networks are those the client may ask from, in CIDR notation; empty: all.
	Networks []string `json:"networks"`
	// Grants are what the registry lets the client do.
	Grants []scope.Grant `json:"grants"`
}

// Resource is a known resource.
type Resource struct {
	// Actions are the names of its actions.
	Actions []string `json:"actions"`
	// Audience is what tokens for it have as aud: its own, or else the issuer's.
	Audience string `json:"audience"`
	// Attributes are what the registry says of the resource, of any shape.
	Attributes map[string]any `json:"attributes"`
}

// TokenRequest is what is known of the request itself.
type TokenRequest struct {
	// RemoteIP is the client's address, without a port and zone; empty when it is not known.
	RemoteIP string `json:"remote_ip"`
	// AuthMethod is how the client authenticated: client_secret_basic, client_secret_post and so on (RFC 7591 §2).
	AuthMethod string `json:"auth_method"`
	// Audience is what the request asks for with resource parameters (RFC 8707); often empty.
	Audience []string `json:"audience"`
}

// TokenDecision is a policy's answer to a token request.
type TokenDecision struct {
	// Granted are the requested scopes that the token may hold, in request order.
	Granted []string
	// Rejected are all other requested scopes, in request order.
	Rejected []Rejection
	// Observed are the requested scopes that a rule on trial would reject, in request order. They are
	// granted or rejected all the same.
	Observed []Rejection
	// Claims are extra claims by name: JSON values, numbers as json.Number. Names are not checked
	// against those that the issuer sets itself.
	Claims map[string]any
	// TTL is the longest lifetime that the policy allows; 0 when it says nothing.
	TTL time.Duration
	// Revision identifies the policy that decided.
	Revision string

	from *snapshot
}

// UnfitClaims is a decision whose claims cannot stand in a token, for the reason that err says: it names
// the places of the rules that give claims.
func (d TokenDecision) UnfitClaims(err error) *Error {
	if d.from == nil {
		return &Error{WrongType, fmt.Errorf("claims are unfit: %w", err)}
	}
	return &Error{WrongType, fmt.Errorf("claims (%s) are unfit: %w", d.from.whereIs(tokenPackage, "claims"), err)}
}

// Rejection is a scope that is not granted, and why.
type Rejection struct {
	// Scope is the scope as it was requested.
	Scope string
	// Reason is the policy's, several of them joined by "; ". For logs, not for the client.
	Reason string
}
