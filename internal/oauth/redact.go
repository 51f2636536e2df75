package oauth

import (
	"encoding/json"
	"fmt"
)

// shownRequest is the part of a request that may be shown.
type shownRequest struct {
	GrantType  string   `json:"grant_type,omitempty"`
	Scope      string   `json:"scope,omitempty"`
	Resources  []string `json:"resources,omitempty"`
	ClientID   string   `json:"client_id"`
	AuthMethod string   `json:"auth_method"`
}

func (t TokenRequest) shown() shownRequest {
	return shownRequest{t.GrantType, t.Scope, t.Resources, t.ClientID, t.AuthMethod}
}

// Format prints the request without its secret for every verb. With a String method alone, fmt would print the fields for
// some verbs.
func (t TokenRequest) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%+v", t.shown()) }

// MarshalJSON encodes the request without its secret.
func (t TokenRequest) MarshalJSON() ([]byte, error) { return json.Marshal(t.shown()) }
