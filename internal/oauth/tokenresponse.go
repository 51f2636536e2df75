package oauth

import (
	"net/http"
	"strconv"
)

// TokenResponse is the response to a token request (RFC 6749 §5.1).
type TokenResponse struct {
	// AccessToken is the token itself. Do not log or print the response.
	AccessToken string `json:"access_token"`
	// TokenType is written as "Bearer" if it is empty (RFC 6750 §4).
	TokenType string `json:"token_type"`
	// IssuedTokenType is the type of the token in the answer to a token exchange (RFC 8693 §2.2.1). Other answers leave it out.
	IssuedTokenType string `json:"issued_token_type,omitzero"`
	// ExpiresIn is the token's lifetime in seconds.
	ExpiresIn int64 `json:"expires_in"`
	// Scope is the granted scope, space-separated, verbatim and in request order.
	Scope string `json:"scope"`
	// RejectedScope is the requested scope that was not granted, in the same form. It is written even if it is empty.
	RejectedScope string `json:"rejected_scope"`
}

// Write answers 200 with t as JSON and forbids caches to store it.
func (t TokenResponse) Write(w http.ResponseWriter) {
	if t.TokenType == "" {
		t.TokenType = "Bearer"
	}
	writeBody(w, http.StatusOK, typeJSON, t.encode())
}

// encode encodes t as encodeJSON does, without reflection.
func (t TokenResponse) encode() []byte {
	const names = 160 // more than the names, the number and the quotes take
	body := make([]byte, 0, names+len(t.AccessToken)+len(t.TokenType)+len(t.IssuedTokenType)+len(t.Scope)+len(t.RejectedScope))
	body = appendText(append(body, `{"access_token":`...), t.AccessToken)
	body = appendText(append(body, `,"token_type":`...), t.TokenType)
	if t.IssuedTokenType != "" {
		body = appendText(append(body, `,"issued_token_type":`...), t.IssuedTokenType)
	}
	body = strconv.AppendInt(append(body, `,"expires_in":`...), t.ExpiresIn, 10)
	body = appendText(append(body, `,"scope":`...), t.Scope)
	body = appendText(append(body, `,"rejected_scope":`...), t.RejectedScope)
	return append(body, "}\n"...)
}
