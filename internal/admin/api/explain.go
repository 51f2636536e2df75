package api

import (
	"encoding/json"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// ExplainRequest is what to explain: a token request, and a proxied request with the token that it would give.
type ExplainRequest struct {
	Client     string          `json:"client"`
	Scopes     []string        `json:"scopes,omitempty"`
	RemoteIP   string          `json:"remote_ip,omitempty"`
	Audience   []string        `json:"audience,omitempty"`
	AuthMethod string          `json:"auth_method,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	Trace      bool            `json:"trace,omitempty"`
	Request    *ProxiedRequest `json:"request,omitempty"`
	// Assertion is an assertion of a trusted issuer, whose client asks for the token. Client may then be "", or one of the
	// clients that the identity may act as.
	Assertion string `json:"assertion,omitempty"`
	// Subject are the claims of the subject token of a token exchange, which this issuer has issued. Nothing verifies them.
	Subject json.RawMessage `json:"subject,omitempty"`
}

// ProxiedRequest is a request to a door, with the token that would be issued.
type ProxiedRequest struct {
	Method string `json:"method"`
	// URL has a scheme and a host, or is a path alone if no pattern of the door has a host. The path is the one
	// that the door sees, after any rewrite.
	URL      string            `json:"url"`
	Headers  map[string]string `json:"headers,omitempty"`
	RemoteIP string            `json:"remote_ip,omitempty"`
	// Door is the number of the one door to ask. Without it, every door is asked.
	Door *int `json:"door,omitempty"`
}

// Explanation is the answer that a token request would get now, and the reasons for it.
type Explanation struct {
	Issuer string `json:"issuer"`
	Client string `json:"client"`
	// Passes reports whether every scope is granted, nothing refuses the request as a whole, and the proxied
	// request, if there is one, is let through.
	Passes bool `json:"passes"`
	// Refusals are the reasons to refuse the request as a whole. The scopes are decided all the same.
	Refusals []Refusal `json:"refusals"`
	Notes    []string  `json:"notes"`
	// Identity is what the assertion says, and as which client it may act. Without one, Client is "" and no scope is decided.
	Identity *IdentityExplanation `json:"identity,omitempty"`
	// DefaultScopes reports that the request has no scope and these are the policy's defaults.
	DefaultScopes bool                      `json:"default_scopes"`
	Scopes        []policy.ScopeExplanation `json:"scopes"`
	Audience      []string                  `json:"audience"`
	TTL           *TTL                      `json:"ttl,omitempty"`
	// BoundTo says to what keys each token of the client is bound: "dpop" and "mtls". Without it, a token is bound to the key of
	// a DPoP proof if the token request has one.
	BoundTo []string                  `json:"bound_to,omitempty"`
	Claims  []policy.ValueExplanation `json:"claims"`

	// Caching says whether the decisions on the token are cached. The explanation itself never comes from the cache.
	Caching []policy.Caching `json:"caching"`

	PolicyRevision   string            `json:"policy_revision"`
	RegistryRevision string            `json:"registry_revision"`
	Trace            *policy.Trace     `json:"trace,omitempty"`
	Doors            []DoorExplanation `json:"doors,omitempty"`
}

// IdentityExplanation is what an assertion of a trusted issuer says, and what is decided on it.
type IdentityExplanation struct {
	Issuer  string         `json:"issuer"`
	Subject string         `json:"subject"`
	Type    string         `json:"type,omitempty"`
	KeyID   string         `json:"key_id,omitempty"`
	Claims  map[string]any `json:"claims,omitempty"`
	// Verified reports whether the claims are those of the issuer. Problem says why not.
	Verified bool   `json:"verified"`
	Problem  string `json:"problem,omitempty"`
	// Listed are the clients whose identities in the registry match.
	Listed []string `json:"listed"`
	// Clients are all that the identity may act as. The causes of one are the rules that name it; the registry lists the others.
	Clients []policy.ValueExplanation `json:"clients"`
	// Denied are the rules that refuse the identity.
	Denied []policy.Cause `json:"denied"`
}

// Refusal is a refusal by the program, not by a rule.
type Refusal struct {
	Reason      string `json:"reason"`
	Description string `json:"description"`
}

// TTL is a lifetime in seconds. From is what sets it: "issuer", "client", "policy", or "subject" of a token exchange.
type TTL struct {
	Seconds int64          `json:"seconds"`
	From    string         `json:"from"`
	Causes  []policy.Cause `json:"causes"`
}

// DoorExplanation is how an m2m_auth judges a request.
type DoorExplanation struct {
	// Door, Issuer, Audience and Requirements identify the m2m_auth.
	Door         int      `json:"door"`
	Issuer       string   `json:"issuer"`
	Audience     []string `json:"audience"`
	Requirements int      `json:"requirements"`
	// TakesToken reports whether there is a token and it is for the door's audience.
	TakesToken bool `json:"takes_token"`
	LetThrough bool `json:"let_through"`
	// Status, Reason and Description describe the refusal of a request that is not let through.
	Status      int    `json:"status,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Description string `json:"description,omitempty"`
	// Pattern is the requirement that the request matches.
	Pattern string `json:"pattern,omitempty"`
	// Required are the scopes that the request needs.
	Required []RequiredScope `json:"required"`
	// Proofs are what the request needs besides the token, which is bound to keys: "dpop" and "mtls".
	Proofs []string `json:"proofs,omitempty"`
	// Observes reports that the door asks its policy and does not obey it.
	Observes bool `json:"observes,omitempty"`
	// Policy is the decision of the door's policy, if it has one. If the policy fails, it has the trace until then.
	Policy *policy.RequestExplanation `json:"policy,omitempty"`
}

// RequiredScope is a scope that a request needs, and the scope of the token that covers it, or "".
type RequiredScope struct {
	Scope     string `json:"scope"`
	CoveredBy string `json:"covered_by,omitempty"`
}
