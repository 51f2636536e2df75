package oauth

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// shownRequest is the part of a token request that may be shown.
type shownRequest struct {
	GrantType  string   `json:"grant_type"`
	Scope      string   `json:"scope"`
	Resources  []string `json:"resources,omitempty"`
	ClientID   string   `json:"client_id"`
	AuthMethod string   `json:"auth_method"`
}

func (t TokenRequest) shown() shownRequest {
	return shownRequest{t.GrantType, t.Scope, t.Resources, t.ClientID, t.AuthMethod}
}

// String returns the request without its secret.
func (t TokenRequest) String() string { return fmt.Sprintf("%+v", t.shown()) }

// Format prints the request without its secret for every verb. With a String method alone, fmt would print the fields for
// some verbs.
func (t TokenRequest) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// MarshalJSON encodes the request without its secret.
func (t TokenRequest) MarshalJSON() ([]byte, error) { return json.Marshal(t.shown()) }

// LogValue returns the request without its secret, for slog.
func (t TokenRequest) LogValue() slog.Value { return slog.AnyValue(t.shown()) }
