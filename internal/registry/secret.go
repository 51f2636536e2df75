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

// A secret is a prefix, 256 random bits and a CRC-32 of both. Scanners of repositories and logs find leaked secrets by the
// prefix, and confirm them by the checksum. Letters, digits and "_" need no quoting in Basic authentication, forms, URLs
// and shells.
const (
	secretPrefix   = credential.SecretPrefix
	randomDigits   = 43 // 62^43 > 2^256
	checksumDigits = 6  // 62^6 > 2^32
	secretLength   = len(secretPrefix) + randomDigits + checksumDigits
	base62         = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // the digits of big.Int
)

var (
	errSecretPrefix   = fmt.Errorf("a secret begins with %q", secretPrefix)
	errSecretLength   = fmt.Errorf("a secret has %d characters", secretLength)
	errSecretAlphabet = fmt.Errorf("a secret has only letters and digits after %q", secretPrefix)
	errSecretChecksum = errors.New("the checksum of the secret is wrong: a character is missing or mistyped")
)

// NewSecret returns a new client secret of 256 random bits: "m2m_", 43 base62 digits, and the CRC-32 (IEEE) of that in 6
// base62 digits. It is the only copy, because a registry keeps only the hash.
func NewSecret() string {
	random := make([]byte, 32)
	rand.Read(random) // never returns an error
	body := secretPrefix + digits(new(big.Int).SetBytes(random), randomDigits)
	return body + checksum(body)
}

// CheckSecret returns an error if NewSecret cannot have returned s. It checks the prefix, the length, the alphabet and the
// checksum, and needs no registry, so that a mistyped secret is found where it is typed. Errors do not repeat the secret.
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

// HashSecret returns the hash of a secret for a registry file: its SHA-256 in base64url without padding, 43 characters (RFC
// 4648 §5). A slow hash would protect secrets that can be guessed. Those of NewSecret cannot, and a slow hash would allow
// unauthenticated callers to use up the issuer's CPU.
func HashSecret(s string) string { return hashText(SumSecret(s)) }

// SumSecret returns the hash of a secret for a Secret. It allocates nothing for a secret of usual length, so that no copy
// stays in the heap.
func SumSecret(s string) [32]byte {
	var text [maxImported]byte
	return sha256.Sum256(append(text[:0], s...))
}

func hashText(sum [32]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:]) }

// checksum computes crc32.ChecksumIEEE, which would need a copy of the secret in the heap.
func checksum(body string) string {
	crc := ^uint32(0)
	for i := range len(body) {
		crc = crc32.IEEETable[byte(crc)^body[i]] ^ crc>>8
	}
	crc = ^crc
	var sum [checksumDigits]byte
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = base62[crc%uint32(len(base62))]
		crc /= uint32(len(base62))
	}
	return string(sum[:])
}

// digits returns n in base 62, with leading zeros up to width.
func digits(n *big.Int, width int) string {
	text := n.Text(len(base62))
	return strings.Repeat("0", width-len(text)) + text
}

// containsSecret reports whether a text contains a secret that NewSecret may have returned.
func containsSecret(text string) bool {
	for {
		i := strings.Index(text, secretPrefix)
		if i < 0 || len(text)-i < secretLength {
			return false
		}
		if CheckSecret(text[i:i+secretLength]) == nil {
			return true
		}
		text = text[i+len(secretPrefix):]
	}
}
