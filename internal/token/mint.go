package token

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/caddy-m2m/caddy-m2m/internal/claimname"
)

// MaxClaimsSize is the largest claims set that Mint makes, in bytes of JSON. Signed with the
// largest key it is still within MaxTokenSize.
const MaxClaimsSize = 4 << 10

// MaxTTL is the longest that a token of this program is valid. A key stays published for at least this long after it
// stops signing.
const MaxTTL = 24 * time.Hour

// Mint holds the claims of one access token (RFC 9068 §2.2).
type Mint struct {
	// Issuer is iss, the issuer's URL.
	Issuer string
	// ClientID is client_id, the client that requested the token.
	ClientID string
	// ID is jti. It must be unique, as those of NewID are.
	ID string
	// Subject is sub. The default is ClientID, because the client credentials grant has no resource owner.
	Subject string
	// Audience is aud, which is encoded as a string if there is one. At least one is required.
	Audience []string
	// Scope is scope, a space-separated list. The claim is left out if it is empty.
	Scope string
	// Confirmation is cnf, the keys that the token is bound to. The claim is left out if it is zero.
	Confirmation Confirmation
	// Actor is act, who acts for the subject (RFC 8693 §4.1). The claim is left out if it is empty. Values are as of Extra.
	Actor map[string]any
	// IssuedAt is iat, truncated to whole seconds.
	IssuedAt time.Time
	// TTL is how long the token is valid, truncated to whole seconds, at least one: exp is iat plus TTL.
	TTL time.Duration
	// Extra are further claims. None may be Reserved. Values have the types that encoding/json decodes into an any,
	// including json.Number.
	Extra map[string]any
}

// ErrTooLarge is wrapped by the error of Claims if they do not fit into a token.
var ErrTooLarge = fmt.Errorf("the claims have more than %d bytes", MaxClaimsSize)

// Claims encodes the claims for SigningKey.Sign. Equal Mints give equal bytes. Claims fails if a value is missing or not
// valid, if an extra claim is Reserved or its name is empty, not UTF-8, longer than 128 bytes or has control characters, if a
// value is not JSON or nested more deeply than Verify allows, and with ErrTooLarge beyond MaxClaimsSize.
func (m Mint) Claims() ([]byte, error) {
	if m.Subject == "" {
		m.Subject = m.ClientID
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("minting claims: %w", err)
	}
	data, err := m.encode()
	if err != nil {
		return nil, m.unfit("is not JSON")
	}
	if len(data) > MaxClaimsSize {
		return nil, fmt.Errorf("minting claims: %w", ErrTooLarge)
	}
	return data, m.checkReadable(data)
}

// ReadMinted reads claims of Mint as Verify does. It does not check them and is not for claims from elsewhere.
func ReadMinted(claims []byte) (*Claims, error) {
	all, err := parsePayload(claims)
	if err != nil {
		return nil, err
	}
	return readClaims(all, new(Expect))
}

func (m Mint) check() error {
	for _, f := range []struct{ name, value string }{
		{"iss", m.Issuer}, {"client_id", m.ClientID}, {"sub", m.Subject}, {"jti", m.ID},
	} {
		if !isName(f.value) {
			return fmt.Errorf("%s is missing or unfit", f.name)
		}
	}
	if len(m.Audience) == 0 {
		return errors.New("aud is missing")
	}
	for _, aud := range m.Audience {
		if !isName(aud) {
			return errors.New("aud is unfit")
		}
	}
	if m.IssuedAt.Unix() <= 0 || m.TTL < time.Second || m.IssuedAt.Add(m.TTL).Unix() > maxDate {
		return errors.New("iat or the lifetime is missing or unfit")
	}
	if err := m.Confirmation.check(); err != nil {
		return err
	}
	for name := range m.Extra {
		if err := claimname.Check(name); err != nil {
			return err
		}
	}
	return nil
}

// checkReadable makes sure that Verify can read what a policy added, so that no token is issued that every door refuses.
func (m Mint) checkReadable(data []byte) error {
	if len(m.Extra) == 0 {
		return nil
	}
	if _, err := parsePayload(data); err != nil {
		return m.unfit("is nested too deeply or has a number that is out of range")
	}
	return nil
}

// unfit returns an error that names the extra claim at fault.
func (m Mint) unfit(why string) error {
	for _, name := range slices.Sorted(maps.Keys(m.Extra)) {
		data, err := json.Marshal(map[string]any{name: m.Extra[name]}, mintOptions)
		if err == nil {
			_, err = parsePayload(data)
		}
		if err != nil {
			return fmt.Errorf("minting claims: claim %q %s", name, why)
		}
	}
	return fmt.Errorf("minting claims: an extra claim %s", why)
}
