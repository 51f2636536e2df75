package oauth

import (
	"encoding/json"
	"fmt"
)

// shownCredentials are the part of credentials that may be shown.
type shownCredentials struct {
	ClientID   string `json:"client_id"`
	AuthMethod string `json:"auth_method"`
}

// shownRequest is the part of a request that may be shown.
type shownRequest struct {
	GrantType  string   `json:"grant_type,omitempty"`
	Scope      string   `json:"scope,omitempty"`
	Resources  []string `json:"resources,omitempty"`
	ClientID   string   `json:"client_id"`
	AuthMethod string   `json:"auth_method"`
}

func (t TokenRequest) shown() shownRequest {
	return shownRequest{t.GrantType, t.Scope, t.Resources, t.Credentials.ClientID, t.Credentials.Method}
}

// Format prints the request without its secrets for every verb. With a String method alone, fmt would print the fields for
// some verbs.
func (t TokenRequest) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%+v", t.shown()) }

// MarshalJSON encodes the request without its secrets.
func (t TokenRequest) MarshalJSON() ([]byte, error) { return json.Marshal(t.shown()) }
