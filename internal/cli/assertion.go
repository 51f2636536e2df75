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
	key, err := readPrivateKey(f.keyFile)
	if err != nil {
		return nil, err
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

// checkKey fails early, before the issuer is asked, if --key cannot be used.
func (f *tokenFlags) checkKey() error {
	if f.secretFile != "" {
		return errors.New("--key and --client-secret-file exclude each other")
	}
	_, err := readPrivateKey(f.keyFile)
	return err
}

// readPrivateKey reads a private key of a client. Errors contain nothing of the key.
func readPrivateKey(file string) (*token.ClientKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := token.ParseClientKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}
