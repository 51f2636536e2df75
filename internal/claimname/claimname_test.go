package claimname

import "testing"

func TestReserved(t *testing.T) {
	for _, name := range []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "act", "may_act", "azp", "scp", "typ",
		"ISS", "Client_ID", "\u017fcope", "to\u212aen_type",
	} {
		if Check(name) == nil {
			t.Errorf("%q is not reserved", name)
		}
	}
	for _, name := range []string{"team", "groups", "roles", "issuer", "scopes", "https://example.com/sub", " sub"} {
		if Check(name) != nil {
			t.Errorf("%q is reserved", name)
		}
	}
}
