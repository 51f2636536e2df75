package oauth

import (
	"maps"
	"net/http"
	"strconv"
)

// Error codes of the token endpoint, from RFC 6749 §5.2 unless stated otherwise.
const (
	CodeInvalidRequest       = "invalid_request"
	CodeInvalidClient        = "invalid_client"
	CodeInvalidGrant         = "invalid_grant"
	CodeUnsupportedGrantType = "unsupported_grant_type"
	CodeInvalidScope         = "invalid_scope"
	// CodeInvalidTarget refuses a resource parameter (RFC 8707 §2).
	CodeInvalidTarget = "invalid_target"
	// CodeTemporarilyUnavailable reports an error of the server (RFC 6749 §4.1.2.1).
	CodeTemporarilyUnavailable = "temporarily_unavailable"
	// CodeUnsupportedResponseType refuses an authorization request (RFC 6749 §4.1.2.1).
	CodeUnsupportedResponseType = "unsupported_response_type"
)

// Error is an error response of the authorization server (RFC 6749 §5.2).
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is the error code, one of the Code constants.
	Code string
	// Description is for the client's developer. It reveals nothing that the client may not know. Write replaces characters
	// that RFC 6749 does not allow.
	Description string
	// RejectedScope, unless nil, is written as rejected_scope: the requested scopes that were not granted, space-separated, in
	// request order.
	RejectedScope *string
	// DecisionID, unless empty, is written as decision_id. It names the decision in the log.
	DecisionID string
	// Header has further response headers, such as Allow and WWW-Authenticate.
	Header http.Header
}

// Error returns the code and the description.
func (e *Error) Error() string { return e.Code + ": " + cleanDescription(e.Description) }

// Write answers with e as JSON and forbids caches to store it.
func (e *Error) Write(w http.ResponseWriter) {
	maps.Copy(w.Header(), e.Header)
	writeJSON(w, e.Status, errorBody{
		Code:          e.Code,
		Description:   cleanDescription(e.Description),
		RejectedScope: e.RejectedScope,
		DecisionID:    e.DecisionID,
	})
}

type errorBody struct {
	Code          string  `json:"error"`
	Description   string  `json:"error_description,omitempty"`
	RejectedScope *string `json:"rejected_scope,omitempty"`
	DecisionID    string  `json:"decision_id,omitempty"`
}

// InvalidRequest is the response to a malformed request: 400.
func InvalidRequest(description string) *Error { return badRequest(CodeInvalidRequest, description) }

func badRequest(code, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Description: description}
}

// InvalidClient is the response to a client that failed to authenticate: 401. It is the same for an unknown client, a wrong
// secret, key, assertion or certificate, an expired secret and a disabled client, so that it does not reveal which clients exist. It always has a Basic
// challenge, because RFC 9110 §15.5.2 requires a challenge in every 401.
func InvalidClient() *Error { return invalidClient("client authentication failed") }

// MissingClientAuthentication is the response to a request without credentials of a client: 401.
func MissingClientAuthentication() *Error { return invalidClient("client authentication is missing") }

// UnsupportedClientAuthentication is the response to a method that the issuer does not take from any client: 401 (RFC 6749 §5.2).
func UnsupportedClientAuthentication() *Error {
	return invalidClient("the method of client authentication is not supported")
}

// InvalidGrant is the response to an assertion that is not a grant (RFC 7521 §4.1.1): 400. It is the same for all reasons.
func InvalidGrant() *Error { return badRequest(CodeInvalidGrant, "the assertion is not valid") }

// UnsupportedGrantType is the response to a grant_type that the issuer does not support: 400.
func UnsupportedGrantType() *Error {
	return badRequest(CodeUnsupportedGrantType, "the grant_type is not one of grant_types_supported in the metadata")
}

// NotClientsToken is the response to a client that revokes a token of another client (RFC 7009 §2.1): 400, with the code that
// RFC 6749 §5.2 has for what was issued to another client.
func NotClientsToken() *Error {
	return badRequest(CodeInvalidGrant, "the token was issued to another client")
}

// TooManyRevocations is the response to a client that revokes more of its tokens than the issuer keeps: 429 (RFC 6585 §4). As
// after the 503 of RFC 7009 §2.2.1, the token is still valid and the client may try again after some seconds.
func TooManyRevocations(after int) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Code: CodeTemporarilyUnavailable, Header: header("Retry-After", strconv.Itoa(after)),
		Description: "too many tokens are revoked and have not expired; the token is not revoked",
	}
}

// TooManyRequests is the response to a client beyond its limits: 429 (RFC 6585 §4). RFC 6749 has no code for it, and clients
// decide by the status and Retry-After. The code is that of the other answers that invite a client to try again. slow_down
// (RFC 8628 §3.5) is for clients that poll with a device code, and others do not know it.
func TooManyRequests(description string, retryAfter int) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Code: CodeTemporarilyUnavailable, Description: description,
		Header: header("Retry-After", strconv.Itoa(retryAfter)),
	}
}

// Overloaded is the response to a request that the server cannot answer in time: 503.
func Overloaded(retryAfter int) *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: CodeTemporarilyUnavailable, Description: "too many requests at the moment",
		Header: header("Retry-After", strconv.Itoa(retryAfter)),
	}
}

// InvalidScope is the response to a scope that is malformed, missing or completely rejected: 400.
func InvalidScope(description string) *Error { return badRequest(CodeInvalidScope, description) }

// InvalidTarget is the response to a resource parameter that is malformed or is not an audience that the client may request
// (RFC 8707 §2): 400.
func InvalidTarget(description string) *Error { return badRequest(CodeInvalidTarget, description) }

// InvalidProof refuses the DPoP proof of a token request: 400 (RFC 9449 §5). The code is "invalid_dpop_proof" or, with the
// nonce for the next proof, "use_dpop_nonce" (§8).
func InvalidProof(code, description, nonce string) *Error {
	e := badRequest(code, description)
	if nonce != "" {
		e.Header = header("Dpop-Nonce", nonce)
	}
	return e
}

// UnsupportedResponseType is the response of the authorization endpoint, which supports nothing: 400.
func UnsupportedResponseType() *Error {
	return badRequest(CodeUnsupportedResponseType, "no response_type is supported; use the token endpoint")
}

// Unavailable is the response if policy, storage or keys fail: 503, with a Retry-After. The description says what is
// unavailable to the client, not what failed.
func Unavailable(description string) *Error {
	return &Error{
		Status:      http.StatusServiceUnavailable,
		Code:        CodeTemporarilyUnavailable,
		Description: description,
		Header:      header("Retry-After", "5"),
	}
}

// invalidClient is for errors that are found before a client is looked up, so that describing them reveals nothing.
func invalidClient(description string) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Code:        CodeInvalidClient,
		Description: description,
		Header:      header("Www-Authenticate", `Basic realm="token endpoint"`),
	}
}

// NotFound is the response to a request that misses the routes of the server: 404. The description says where they are. RFC
// 6749 does not have a code for it.
func NotFound(description string) *Error {
	return &Error{Status: http.StatusNotFound, Code: CodeInvalidRequest, Description: "not found; " + description}
}

func methodNotAllowed(allow string) *Error {
	return &Error{
		Status:      http.StatusMethodNotAllowed,
		Code:        CodeInvalidRequest,
		Description: "the method must be " + allow,
		Header:      header("Allow", allow),
	}
}

func tooLarge() *Error {
	return &Error{
		Status:      http.StatusRequestEntityTooLarge,
		Code:        CodeInvalidRequest,
		Description: "the body must be at most " + strconv.Itoa(MaxBody) + " bytes",
	}
}

// header returns a header with one field, whose name must be in canonical form.
func header(name, value string) http.Header { return http.Header{name: {value}} }
