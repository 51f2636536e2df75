package token

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
)

// IntrospectionType is the typ of a signed introspection response (RFC 9701 §5). Verify never accepts it as that of an access
// token.
const IntrospectionType = "token-introspection+jwt"

// Introspection is an issuer's answer to an introspection request (RFC 9701 §5).
type Introspection struct {
	// Issuer is iss, the issuer's URL. Audience is aud, the client_id of the requester.
	Issuer, Audience string
	// IssuedAt is iat, truncated to whole seconds.
	IssuedAt time.Time
	// Members are those of the introspection response (RFC 7662 §2.2). Values have the types that encoding/json decodes into
	// an any, including json.Number, or are integers.
	Members map[string]any
}

type introspectionClaims struct {
	Issuer   string         `json:"iss"`
	Audience string         `json:"aud"`
	IssuedAt int64          `json:"iat"`
	Members  map[string]any `json:"token_introspection"`
}

// SignIntrospection signs a response. It has neither sub nor exp, which would make it look like an access token (RFC 9701
// §8.1). SignIntrospection fails if a member is not JSON.
func (k SigningKey) SignIntrospection(i Introspection) (string, error) {
	claims, err := json.Marshal(introspectionClaims{i.Issuer, i.Audience, i.IssuedAt.Unix(), i.Members}, mintOptions)
	if err != nil {
		return "", errors.New("signing introspection: a value that is not JSON")
	}
	return k.SignAs(IntrospectionType, claims)
}
