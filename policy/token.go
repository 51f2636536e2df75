package policy

import (
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// TokenInput is what a policy sees of a token request: the input document.
type TokenInput struct {
	// Issuer is the URL of the issuer that was asked.
	Issuer string
	// Client is who asks.
	Client Client
	// Scopes are the requested scopes in request order.
	Scopes []scope.Scope
	// Resources are the known resources that Scopes name, by their code.
	Resources map[string]Resource
	// Request is what is known of the request itself.
	Request TokenRequest
}

// Client is an authenticated client, without its secrets.
type Client struct {
	// ID is the client_id.
	ID string
	// Description is the registry's remark on the client.
	Description string
	// Attributes are of any JSON shape, and are for policies alone.
	Attributes map[string]any
	// Audiences are the only ones that tokens of the client may have; none leaves all.
	Audiences []string
	// Networks are those the client may ask from, in CIDR notation; none leaves all.
	Networks []string
	// Grants are what the registry lets the client do.
	Grants []scope.Grant
}

// Resource is a known resource.
type Resource struct {
	// Actions are the names of its actions.
	Actions []string
	// Audience is what tokens for it have as aud: its own, or else the issuer's.
	Audience string
	// Attributes are of any JSON shape, and are for policies alone.
	Attributes map[string]any
}

// TokenRequest is what is known of the request itself.
type TokenRequest struct {
	// RemoteIP is the client's address, without a port and zone; "" when it is not known.
	RemoteIP string
	// AuthMethod is how the client authenticated, such as "client_secret_basic" (RFC 7591 §2).
	AuthMethod string
	// Audience is what the request asks for with resource parameters (RFC 8707); often none.
	Audience []string
}

// TokenDecision is a policy's answer to a token request.
type TokenDecision struct {
	// Granted are the requested scopes that the token may hold, in request order.
	Granted []string
	// Rejected are all other requested scopes, in request order.
	Rejected []Rejection
	// Claims are extra claims by name: JSON values, numbers as json.Number. Names are not checked
	// against those that the issuer sets itself.
	Claims map[string]any
	// TTL is the longest lifetime that the policy allows; 0 when it says nothing.
	TTL time.Duration
	// Revision identifies the policy that decided.
	Revision string
}

// Rejection is a scope that is not granted, and why.
type Rejection struct {
	// Scope is the scope as it was requested.
	Scope string
	// Reason is the policy's, several of them joined by "; ". For logs, not for the client.
	Reason string
}
