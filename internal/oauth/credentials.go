package oauth

import (
	"encoding/json"
	"fmt"
)

// Credentials say who the client of a request is. They are well-formed but not verified. When they are printed, logged or
// encoded, the secret and the assertion are left out.
type Credentials struct {
	// ClientID is decoded. It can be "" unless Method has a secret: then an assertion, a certificate or a subject token names
	// the client.
	ClientID string
	// Method is ClientSecretBasic, ClientSecretPost or ClientAssertion, or "" if the request has neither a secret nor an
	// assertion. What an assertion or a certificate stands for is found later.
	Method string
	// Secret is decoded. It is there if Method has a secret.
	Secret string
	// Assertion and AssertionType are client_assertion and client_assertion_type (RFC 7521 §4.2). They are there if Method is
	// ClientAssertion. The type is AssertionTypeJWT or AssertionTypeSPIFFE. The assertion is text of at most MaxBody bytes.
	Assertion, AssertionType string
}

func (c Credentials) shown() shownCredentials { return shownCredentials{c.ClientID, c.Method} }

// Format prints the credentials without secret and assertion for every verb.
func (c Credentials) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%+v", c.shown()) }

// MarshalJSON encodes the credentials without secret and assertion.
func (c Credentials) MarshalJSON() ([]byte, error) { return json.Marshal(c.shown()) }
