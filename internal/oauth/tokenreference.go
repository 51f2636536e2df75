package oauth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
)

// TokenReference is a well-formed request about a token: to introspect it (RFC 7662 §2.1) or to revoke it
// (RFC 7009 §2.1). It has the client's credentials, which are not yet verified. However it is printed,
// logged or encoded, the token and the secret are left out.
type TokenReference struct {
	// Token is the token parameter verbatim, and not empty. Nothing of it is checked.
	Token string
	// ClientID and ClientSecret are decoded and neither is empty.
	ClientID, ClientSecret string
	// AuthMethod is ClientSecretBasic or ClientSecretPost.
	AuthMethod string
}

// ParseTokenReference reads a request about a token, by the rules of ParseTokenRequest: the same envelope,
// body and client authentication, with the same answers. Then token must be there. token_type_hint is
// ignored, as both RFCs allow: there is one kind of token here.
func ParseTokenReference(w http.ResponseWriter, r *http.Request) (*TokenReference, *Error) {
	if err := checkEnvelope(r); err != nil {
		return nil, err
	}
	p, err := readParams(w, r)
	if err != nil {
		return nil, err
	}
	client, err := clientAuth(r.Header, p)
	if err != nil {
		return nil, err
	}
	token := p.get("token")
	if token == "" {
		return nil, InvalidRequest("token is missing")
	}
	return &TokenReference{Token: token, ClientID: client.id, ClientSecret: client.secret, AuthMethod: client.method}, nil
}

type shownReference struct {
	ClientID   string `json:"client_id"`
	AuthMethod string `json:"auth_method"`
}

func (t TokenReference) shown() shownReference { return shownReference{t.ClientID, t.AuthMethod} }

// String is the request without token and secret.
func (t TokenReference) String() string { return fmt.Sprintf("%+v", t.shown()) }

// Format prints the request without token and secret, whatever the verb.
func (t TokenReference) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// MarshalJSON encodes the request without token and secret.
func (t TokenReference) MarshalJSON() ([]byte, error) { return json.Marshal(t.shown()) }

// LogValue is the request without token and secret, as slog shows it.
func (t TokenReference) LogValue() slog.Value { return slog.AnyValue(t.shown()) }
