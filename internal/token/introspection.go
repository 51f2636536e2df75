package token

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
)

// IntrospectionType is the typ of a signed introspection response (RFC 9701 §5). It is never taken for an
// access token.
const IntrospectionType = "token-introspection+jwt"

// Introspection is what an issuer says of a token to one who asked (RFC 9701 §5).
type Introspection struct {
	// Issuer is iss, the issuer's URL, and Audience aud, the client_id of who asked.
	Issuer, Audience string
	// IssuedAt is iat, cut to whole seconds.
	IssuedAt time.Time
	// Members are those of the introspection response (RFC 7662 §2.2): what encoding/json would decode
	// into an any, json.Number included, and integers.
	Members map[string]any
}

type introspectionClaims struct {
	Issuer   string         `json:"iss"`
	Audience string         `json:"aud"`
	IssuedAt int64          `json:"iat"`
	Members  map[string]any `json:"token_introspection"`
}

// SignIntrospection makes the signed response. It has neither sub nor exp, which would make it look like
// an access token (RFC 9701 §8.1). It fails on members that are not JSON.
func (k SigningKey) SignIntrospection(i Introspection) (string, error) {
	claims, err := json.Marshal(introspectionClaims{i.Issuer, i.Audience, i.IssuedAt.Unix(), i.Members}, mintOptions)
	if err != nil {
		return "", errors.New("signing introspection: a value that is not JSON")
	}
	return k.SignAs(IntrospectionType, claims)
}
