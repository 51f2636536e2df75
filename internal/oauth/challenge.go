package oauth

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// Error codes of a protected resource (RFC 6750 §3.1), besides CodeInvalidRequest.
const (
	CodeInvalidToken      = "invalid_token"
	CodeInsufficientScope = "insufficient_scope"
)

// Challenge is the response of a protected resource that refuses a request (RFC 6750 §3).
type Challenge struct {
	// Status is the HTTP status: 400, 401, 403, or 503 for an error of the server.
	Status int
	// Code is the error code, or "" if the request had no token, for which RFC 6750 §3.1 wants none.
	Code string
	// Description says why, to the client's developer. Characters that RFC 6750 does not allow are replaced.
	Description string
	// Scope is the required scope, space-separated.
	Scope string
	// ResourceMetadata is the URL of the resource's metadata document (RFC 9728 §5.1).
	ResourceMetadata string
	// Reason is a short, stable code, finer than Code, for the body and for metrics.
	Reason string
	// DecisionID names the decision in the log, if policy made one.
	DecisionID string
	// Schemes are those in which the client can present a token. Default: SchemeBearer.
	Schemes []string
	// ProofAlgs are the algorithms of proofs, for SchemeDPoP (RFC 9449 §7.1). Required with it.
	ProofAlgs []string
}

// Reasons of the challenges that AccessToken returns.
const (
	ReasonMissingToken     = "missing_token"
	ReasonMalformedRequest = "malformed_request"
)

// missingToken refuses a request without a token: 401, without an error code.
func missingToken() *Challenge {
	return &Challenge{
		Status:      http.StatusUnauthorized,
		Description: "a Bearer access token is required in the Authorization header",
		Reason:      ReasonMissingToken,
	}
}

// malformedRequest refuses a request whose token is ambiguous: 400 invalid_request.
func malformedRequest(description string) *Challenge {
	return &Challenge{
		Status:      http.StatusBadRequest,
		Code:        CodeInvalidRequest,
		Description: description,
		Reason:      ReasonMalformedRequest,
	}
}

// Header returns the value of WWW-Authenticate. It is "" for 503, which other credentials would not change.
func (c Challenge) Header() string {
	if c.Status == http.StatusServiceUnavailable {
		return ""
	}
	var params []string
	add := func(name, value string) {
		if value != "" {
			params = append(params, name+"="+quote(value))
		}
	}
	if c.Code != "" { // RFC 6750 §3.1: no error information for who sent no token
		add("error", c.Code)
		add("error_description", cleanDescription(c.Description))
	}
	add("scope", cleanText(c.Scope))
	add("resource_metadata", c.ResourceMetadata)
	if len(c.Schemes) == 0 {
		return challenge(SchemeBearer, params)
	}
	challenges := make([]string, len(c.Schemes))
	for n, scheme := range c.Schemes {
		if challenges[n] = challenge(scheme, params); scheme == SchemeDPoP {
			algs := "algs=" + quote(strings.Join(c.ProofAlgs, " "))
			challenges[n] = challenge(scheme, append(slices.Clip(params), algs))
		}
	}
	return strings.Join(challenges, ", ")
}

// challenge writes one challenge (RFC 9110 §11.6.1). At least one parameter follows the scheme (RFC 6750 §3).
func challenge(scheme string, params []string) string {
	if len(params) == 0 {
		return scheme + ` realm="protected resource"`
	}
	return scheme + " " + strings.Join(params, ", ")
}

// Body returns a short JSON object that says why.
func (c Challenge) Body() []byte {
	return encodeJSON(challengeBody{
		Code:        cmp.Or(c.Code, "unauthorized"),
		Description: cleanDescription(c.Description),
		Reason:      c.Reason,
		Scope:       cleanText(c.Scope),
		DecisionID:  c.DecisionID,
	})
}

type challengeBody struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Scope       string `json:"scope,omitempty"`
	DecisionID  string `json:"decision_id,omitempty"`
}

// quote returns a quoted-string (RFC 9110 §5.6.4) of visible ASCII.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r > 0x7e:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
