package oauth

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// TokenReference is a well-formed request to introspect (RFC 7662 §2.1) or to revoke (RFC 7009 §2.1) a token, with the client's
// credentials, which are not verified. When it is printed, logged or encoded, token, secret and assertion are left out.
type TokenReference struct {
	// Token is the token parameter verbatim. It is not empty. Its content is not checked.
	Token string
	// Credentials are those of the client.
	Credentials Credentials
}

// ParseTokenReference reads a request about a token by the rules of ParseTokenRequest for headers, body and client
// authentication. The parameter token is required. It ignores token_type_hint, as both RFCs allow, because there is only one
// type of token.
func ParseTokenReference(w http.ResponseWriter, r *http.Request) (*TokenReference, *Error) {
	if err := checkRequest(r); err != nil {
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
	return &TokenReference{Token: token, Credentials: client}, nil
}

func (t TokenReference) shown() shownRequest {
	return shownRequest{ClientID: t.Credentials.ClientID, AuthMethod: t.Credentials.Method}
}

// Format prints the request without token, secret and assertion for every verb.
func (t TokenReference) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%+v", t.shown()) }

// MarshalJSON encodes the request without token, secret and assertion.
func (t TokenReference) MarshalJSON() ([]byte, error) { return json.Marshal(t.shown()) }
