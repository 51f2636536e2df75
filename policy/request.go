package policy

import (
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// RequestInput is what a policy sees of a proxied request: the input document. The request has a valid
// token, which covers what the route requires.
type RequestInput struct {
	// Issuer is the URL of the issuer whose tokens the door takes.
	Issuer string `json:"issuer"`
	// Request is the request as the upstream will see it.
	Request ProxiedRequest `json:"request"`
	// Token is who asks; never the token itself.
	Token Token `json:"token"`
	// Time is what the policy takes for now; the zero time is now.
	Time time.Time `json:"-"`
}

// ProxiedRequest is a request to an upstream.
type ProxiedRequest struct {
	// Method is the HTTP method, in upper case.
	Method string `json:"method"`
	// Host is the host that was asked for, in lower case and without a port.
	Host string `json:"host"`
	// Path are the segments of the path, decoded: of /books/1 they are books and 1.
	Path []string `json:"path"`
	// Route is the door's requirement that the request matches.
	Route Route `json:"route"`
	// RemoteIP is the client's address, without a port and zone; empty when it is not known.
	RemoteIP string `json:"remote_ip"`
	// Headers are those that the door was told to show, by name in lower case; one that the request does not have is not there.
	Headers map[string][]string `json:"headers"`
}

// Route is a requirement of a door.
type Route struct {
	// Pattern is the requirement's method and pattern, such as GET /books/{id}; empty when the door requires nothing.
	Pattern string `json:"pattern"`
	// Parameters are the pattern's parameters with their values, by name.
	Parameters map[string]string `json:"parameters"`
}

// Token is a verified token.
type Token struct {
	// ClientID is the claim client_id.
	ClientID string `json:"client_id"`
	// Subject is the claim sub.
	Subject string `json:"subject"`
	// Scopes are the scopes of the token.
	Scopes []scope.Scope `json:"scopes"`
	// Claims are all claims, by name.
	Claims map[string]any `json:"claims"`
}

// RequestDecision is a policy's answer to a proxied request.
type RequestDecision struct {
	// Denied are the reasons to refuse the request, sorted; none lets it through. For logs, not for the
	// client.
	Denied []string
	// Observed are the reasons of rules on trial, which refuse nothing.
	Observed []string
	// Required are scopes that the token must cover, too.
	Required []scope.Scope
	// Headers are for the request to the upstream, by name.
	Headers map[string]string
	// Revision identifies the policy that decided.
	Revision string
}
