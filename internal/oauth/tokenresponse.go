package oauth

import "net/http"

// TokenResponse is the answer to a token request (RFC 6749 §5.1).
type TokenResponse struct {
	// AccessToken is the token itself: never log or print the response.
	AccessToken string `json:"access_token"`
	// TokenType is written as "Bearer" when it is empty (RFC 6750 §4).
	TokenType string `json:"token_type"`
	// ExpiresIn is the token's lifetime in seconds.
	ExpiresIn int64 `json:"expires_in"`
	// Scope is what was granted, space-separated, verbatim and in request order.
	Scope string `json:"scope"`
	// RejectedScope is what was asked for and not granted, in the same form; it is there when it is
	// empty, too.
	RejectedScope string `json:"rejected_scope"`
}

// Write answers 200 with t as JSON that nobody may store.
func (t TokenResponse) Write(w http.ResponseWriter) {
	if t.TokenType == "" {
		t.TokenType = "Bearer"
	}
	writeJSON(w, http.StatusOK, t)
}
