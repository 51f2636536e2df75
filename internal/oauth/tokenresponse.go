package oauth

import "net/http"

// TokenResponse is the response to a token request (RFC 6749 §5.1).
type TokenResponse struct {
	// AccessToken is the token itself. Do not log or print the response.
	AccessToken string `json:"access_token"`
	// TokenType is written as "Bearer" if it is empty (RFC 6750 §4).
	TokenType string `json:"token_type"`
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
	writeJSON(w, http.StatusOK, t)
}
