package token

import (
	"encoding/base64"
	"errors"
)

var errBase64 = errors.New("not canonical base64url without padding")

// canonicalBase64 refuses unused bits that are set in the last character. It ignores line breaks, so call isBase64URL first.
var canonicalBase64 = base64.RawURLEncoding.Strict()

// decodeBase64 reads canonical base64url (RFC 7515 §2): without padding, line breaks and other alphabets.
func decodeBase64(s string) ([]byte, error) {
	if !isBase64URL(s) {
		return nil, errBase64
	}
	b, err := canonicalBase64.DecodeString(s)
	if err != nil {
		return nil, errBase64
	}
	return b, nil
}

func encodeBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func isBase64URL(s string) bool {
	for n := range len(s) {
		if !base64URLChars[s[n]] {
			return false
		}
	}
	return true
}

var base64URLChars = func() (set [0x100]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		set[c] = true
	}
	return set
}()
