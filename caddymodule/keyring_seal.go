package caddymodule

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// keySeal encrypts private keys at rest, by AES-256-GCM. The first of its keys encrypts; the others open what
// was encrypted before. A nil keySeal has none.
type keySeal struct{ aeads []cipher.AEAD }

// unsealed is the place in keySeal of what is not encrypted.
const unsealed = -1

var errKeyEncryption = errors.New("key_encryption takes placeholders, {env.*} or {file.*}: a literal key would stand in the config")

// newKeySeal resolves placeholders of keys. No error repeats what they stand for.
func newKeySeal(placeholders []string) (*keySeal, error) {
	if len(placeholders) == 0 {
		return nil, nil
	}
	seal := new(keySeal)
	for _, placeholder := range placeholders {
		if !onePlaceholder.MatchString(placeholder) {
			return nil, errKeyEncryption
		}
		if file, ok := strings.CutPrefix(placeholder, "{file."); ok {
			if err := checkOnlyOwnerReads(strings.TrimSuffix(file, "}")); err != nil {
				return nil, fmt.Errorf("key_encryption: %w", err)
			}
		}
		value := placeholder
		if err := replaceAll(caddy.NewReplacer(), &value); err != nil {
			return nil, fmt.Errorf("key_encryption: %w", err)
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("key_encryption: %s is not the base64 of 32 bytes; make some with `openssl rand -base64 32`", placeholder)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("key_encryption: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("key_encryption: %w", err)
		}
		seal.aeads = append(seal.aeads, aead)
	}
	return seal, nil
}

// checkOnlyOwnerReads refuses a key file that others may read or change. Windows has other permissions.
func checkOnlyOwnerReads(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o066 != 0 {
		return fmt.Errorf("%s has mode %04o, so others may read or change it; make it 0600", file, mode)
	}
	return nil
}

// seal encrypts a private JWK for the object of that kid alone.
func (s *keySeal) seal(kid string, private []byte) []byte {
	return s.aeads[0].Seal(nil, nil, private, []byte(kid))
}

// open decrypts what seal has made, and says which of the keys it was.
func (s *keySeal) open(kid string, sealed []byte) (private []byte, by int, err error) {
	if s == nil {
		return nil, 0, errors.New("it is encrypted, and the issuer has no key_encryption")
	}
	for by, aead := range s.aeads {
		if private, err := aead.Open(nil, nil, sealed, []byte(kid)); err == nil {
			return private, by, nil
		}
	}
	return nil, 0, errors.New("it cannot be decrypted: key_encryption is another key than it was encrypted with, or it is damaged")
}

// current is the place of what seal makes now.
func (s *keySeal) current() int {
	if s == nil {
		return unsealed
	}
	return 0
}
