package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// assertionLife is how long an assertion of the command is valid.
const assertionLife = time.Minute

// assertionType is the client_assertion_type of a JWT (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertion returns the parameters by which a client authenticates with its key (private_key_jwt). The issuer's URL is the only
// audience, so that no other server can use the assertion.
func (f *tokenFlags) assertion(client string) (url.Values, error) {
	if f.secretFile != "" {
		return nil, errors.New("--key and --client-secret-file exclude each other")
	}
	data, err := os.ReadFile(f.keyFile)
	if err != nil {
		return nil, err
	}
	key, err := token.ParseClientKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.keyFile, err)
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": client, "sub": client, "aud": f.issuer, "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(), "jti": token.NewID(),
	})
	if err != nil {
		return nil, err
	}
	signed, err := key.SignAs("JWT", claims)
	return url.Values{"client_assertion_type": {assertionType}, "client_assertion": {signed}}, err
}
