package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// A secret is the prefix, 256 random bits and a CRC-32 of both. The prefix lets scanners of
// repositories and logs recognise a leaked secret, and the checksum lets them be sure. Letters,
// digits and "_" survive Basic authentication, forms, URLs and shells unquoted.
const (
	secretPrefix   = credential.SecretPrefix
	randomDigits   = 43 // 62^43 > 2^256
	checksumDigits = 6  // 62^6 > 2^32
	secretLength   = len(secretPrefix) + randomDigits + checksumDigits
	base62         = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // big.Int's
)

var (
	errSecretPrefix   = fmt.Errorf("a secret begins with %q", secretPrefix)
	errSecretLength   = fmt.Errorf("a secret has %d characters", secretLength)
	errSecretAlphabet = fmt.Errorf("a secret has only letters and digits after %q", secretPrefix)
	errSecretChecksum = errors.New("the checksum of the secret is wrong: a character is missing or mistyped")
)

// NewSecret makes a client secret of 256 random bits: "m2m_", 43 base62 digits, and 6 base62
// digits that are the CRC-32 (IEEE) of what precedes them. It is the only copy: a registry keeps
// what HashSecret makes of it.
func NewSecret() string {
	random := make([]byte, 32)
	rand.Read(random) // never fails: it ends the program instead
	body := secretPrefix + digits(new(big.Int).SetBytes(random), randomDigits)
	return body + checksum(body)
}

// CheckSecret says whether s may be a secret that NewSecret made: prefix, length, alphabet,
// checksum. It needs no registry, so it can tell a mistyped secret where it is typed. Its errors
// do not repeat the secret.
func CheckSecret(s string) error {
	switch {
	case !strings.HasPrefix(s, secretPrefix):
		return errSecretPrefix
	case len(s) != secretLength:
		return errSecretLength
	case strings.Trim(s[len(secretPrefix):], base62) != "":
		return errSecretAlphabet
	case s[secretLength-checksumDigits:] != checksum(s[:secretLength-checksumDigits]):
		return errSecretChecksum
	}
	return nil
}

// HashSecret is the form in which a registry file keeps a secret: its SHA-256 in base64url without
// padding, 43 characters (RFC 4648 §5). A slow hash would protect secrets that can be guessed;
// those of NewSecret cannot, and a slow hash would let strangers burn the issuer's CPU.
func HashSecret(s string) string { return hashText(SumSecret(s)) }

// SumSecret is what a Secret keeps of a secret's text.
func SumSecret(s string) [32]byte { return sha256.Sum256([]byte(s)) }

func hashText(sum [32]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:]) }

func checksum(body string) string {
	crc := crc32.ChecksumIEEE([]byte(body))
	return digits(big.NewInt(int64(crc)), checksumDigits)
}

// digits is n in base 62, filled with zeros to width.
func digits(n *big.Int, width int) string {
	text := n.Text(len(base62))
	return strings.Repeat("0", width-len(text)) + text
}
