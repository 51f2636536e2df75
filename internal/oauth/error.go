package oauth

import (
	"maps"
	"net/http"
	"strconv"
)

// Error codes of the token endpoint, of RFC 6749 §5.2 unless said otherwise.
const (
	CodeInvalidRequest       = "invalid_request"
	CodeInvalidClient        = "invalid_client"
	CodeInvalidGrant         = "invalid_grant"
	CodeUnsupportedGrantType = "unsupported_grant_type"
	CodeInvalidScope         = "invalid_scope"
	// CodeInvalidTarget refuses a resource parameter (RFC 8707 §2).
	CodeInvalidTarget = "invalid_target"
	// CodeTemporarilyUnavailable says that the fault is the server's (RFC 6749 §4.1.2.1).
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
	// Description is for the client's developer, and tells nothing that the client did not send or
	// may not know. Characters that RFC 6749 does not allow in it are replaced when it is written.
	Description string
	// RejectedScope is written as rejected_scope unless it is nil: the requested scopes that were
	// not granted, space-separated, in request order.
	RejectedScope *string
	// DecisionID is written as decision_id unless it is empty: what to look for in the log.
	DecisionID string
	// Header holds further response headers, such as Allow and WWW-Authenticate.
	Header http.Header
}

// Error is the code and the description.
func (e *Error) Error() string { return e.Code + ": " + cleanDescription(e.Description) }

// Write answers with e as JSON that nobody may store.
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

// InvalidRequest answers a request that is malformed: 400.
func InvalidRequest(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: description}
}

// InvalidClient answers a client that did not prove who it is: 401. An unknown client, a wrong
// secret, an expired secret and a disabled client all get this one answer, so that nobody learns
// which clients there are. The Basic challenge is there whichever method was used, for RFC 9110
// §15.5.2 wants one in every 401.
func InvalidClient() *Error { return invalidClient("client authentication failed") }

// UnsupportedGrantType answers every grant_type but client_credentials: 400.
func UnsupportedGrantType() *Error {
	return &Error{
		Status:      http.StatusBadRequest,
		Code:        CodeUnsupportedGrantType,
		Description: "the only grant_type is " + GrantClientCredentials,
	}
}

// NotClientsToken answers who wants to revoke a token that was issued to another client (RFC 7009 §2.1), with
// the code that RFC 6749 §5.2 has for what was issued to another client: 400.
func NotClientsToken() *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: CodeInvalidGrant, Description: "the token was issued to another client",
	}
}

// TooManyRevocations answers a client that has revoked more tokens of its own than are kept for it: 429 (RFC 6585
// §4). As after the 503 of RFC 7009 §2.2.1, the token is still valid and the client may try again.
func TooManyRevocations() *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Code: CodeTemporarilyUnavailable, Header: header("Retry-After", "60"),
		Description: "too many tokens of this client are revoked and have not expired; the token is not revoked",
	}
}

// InvalidScope answers a scope that is malformed, missing, or rejected as a whole: 400.
func InvalidScope(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeInvalidScope, Description: description}
}

// InvalidTarget answers a resource parameter that is malformed or names no audience that the
// client may ask for (RFC 8707 §2): 400.
func InvalidTarget(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeInvalidTarget, Description: description}
}

// UnsupportedResponseType answers the authorization endpoint, where nothing is supported: 400.
func UnsupportedResponseType() *Error {
	return &Error{
		Status:      http.StatusBadRequest,
		Code:        CodeUnsupportedResponseType,
		Description: "no response_type is supported; use the token endpoint",
	}
}

// retryAfter is what 503 tells clients to wait, in seconds.
const retryAfter = "5"

// Unavailable answers when policy, storage or keys fail: 503, with a Retry-After. The description
// says what the client cannot have, not what failed.
func Unavailable(description string) *Error {
	return &Error{
		Status:      http.StatusServiceUnavailable,
		Code:        CodeTemporarilyUnavailable,
		Description: description,
		Header:      header("Retry-After", retryAfter),
	}
}

// invalidClient is for faults that are seen before any client is looked up, which may be described.
func invalidClient(description string) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Code:        CodeInvalidClient,
		Description: description,
		Header:      header("Www-Authenticate", `Basic realm="token endpoint"`),
	}
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

// header makes a header of one field, whose name must be in canonical form.
func header(name, value string) http.Header { return http.Header{name: {value}} }
