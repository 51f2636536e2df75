package oauth

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// shownRequest is what may be seen of a token request.
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

// String is the request without its secret.
func (t TokenRequest) String() string { return fmt.Sprintf("%+v", t.shown()) }

// Format prints the request without its secret, whatever the verb: fmt would print the fields of
// a mere Stringer for verbs that are not of strings.
func (t TokenRequest) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// MarshalJSON encodes the request without its secret.
func (t TokenRequest) MarshalJSON() ([]byte, error) { return json.Marshal(t.shown()) }

// LogValue is the request without its secret, as slog shows it.
func (t TokenRequest) LogValue() slog.Value { return slog.AnyValue(t.shown()) }
