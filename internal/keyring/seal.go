package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
)

// Seal encrypts private keys at rest with AES-256-GCM. The first encryption key encrypts; the others only decrypt. A nil
// Seal has none.
type Seal struct{ aeads []cipher.AEAD }

// unsealed stands for an encryption key of a Seal where a private key is not encrypted.
const unsealed = -1

// NewSeal returns a Seal with encryption keys of 32 bytes.
func NewSeal(keys ...[]byte) (*Seal, error) {
	seal := new(Seal)
	for _, key := range keys {
		if len(key) != 32 {
			return nil, errors.New("an encryption key is not 32 bytes long")
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		seal.aeads = append(seal.aeads, aead)
	}
	return seal, nil
}

// seal encrypts a private JWK. The result can only be opened for the same kid.
func (s *Seal) seal(kid string, private []byte) []byte {
	return s.aeads[0].Seal(nil, nil, private, []byte(kid))
}

// open decrypts what seal returned, and returns the index of the encryption key.
func (s *Seal) open(kid string, sealed []byte) (private []byte, by int, err error) {
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

// current returns the index of the encryption key that seal uses.
func (s *Seal) current() int {
	if s == nil {
		return unsealed
	}
	return 0
}
