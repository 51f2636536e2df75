package policy

import (
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// RequestInput is the input document of a decision on a proxied request. The request has a valid token that covers what
// the route requires.
type RequestInput struct {
	// Issuer is the URL of the issuer of the token.
	Issuer string `json:"issuer"`
	// Request is the request that the upstream gets.
	Request ProxiedRequest `json:"request"`
	// Token are the verified contents of the token, and not the token itself.
	Token Token `json:"token"`
	// Time is the time that the policy sees. Default: the current time.
	Time time.Time `json:"-"`
}

// ProxiedRequest is a request to an upstream.
type ProxiedRequest struct {
	// Method is the HTTP method, in upper case.
	Method string `json:"method"`
	// Host is the requested host, in lower case and without a port.
	Host string `json:"host"`
	// Path are the decoded segments of the path: books and 1 for /books/1.
	Path []string `json:"path"`
	// Route is the requirement of the door that the request matches.
	Route Route `json:"route"`
	// RemoteIP is the client's address without port and zone; empty if it is not known.
	RemoteIP string `json:"remote_ip"`
	// Headers are the headers that the door is configured to show and that the request has, by name in lower case.
	Headers map[string][]string `json:"headers"`
}

// Route is a requirement of a door.
type Route struct {
	// Pattern is the requirement's method and pattern, such as GET /books/{id}; empty if the door requires nothing.
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
	// Denied are the reasons to refuse the request, sorted. Without any, it is let through. They are for logs and not
	// for the client.
	Denied []string
	// Observed are the reasons of rules on trial, which refuse nothing.
	Observed []string
	// Required are scopes that the token must cover in addition.
	Required []scope.Scope
	// Headers are for the request to the upstream, by name.
	Headers map[string]string
	// Revision identifies the policy that decided.
	Revision string

	from *snapshot
}

// Failed counts the decision as one that failed, because the caller cannot use it.
func (d RequestDecision) Failed(err error) {
	if d.from != nil {
		d.from.failed.add(err)
	}
}
