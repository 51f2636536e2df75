// Package envelope puts a checksum around what is kept in storage, so that an object that a storage truncated or
// mixed up is detected. Start with Seal and Open. It imports only the standard library.
//
// An object is a line of text and the content, byte for byte:
//
//	caddy-m2m <label> sha256:<checksum of the content, in hex>
//
// The checksum finds accidents. It does not stop an attacker who can write to the storage.
package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrDamaged is wrapped by every error of Open.
var ErrDamaged = errors.New("it is truncated or was changed")

const (
	magic     = "caddy-m2m "
	algorithm = " sha256:"
)

// Seal returns an object that holds the content. The label says of which kind it is, and of which name if each object
// has one: "client ci-bot".
func Seal(label string, content []byte) []byte {
	sum := sha256.Sum256(content)
	object := make([]byte, 0, len(magic)+len(label)+len(algorithm)+hex.EncodedLen(len(sum))+1+len(content))
	object = append(object, magic+label+algorithm...)
	object = hex.AppendEncode(object, sum[:])
	object = append(object, '\n')
	return append(object, content...)
}

// Open returns the content of an object that Seal made with the same label. The content shares the object's memory.
func Open(label string, object []byte) (content []byte, err error) {
	rest, labelled := bytes.CutPrefix(object, []byte(magic+label+algorithm))
	sum, content, ended := bytes.Cut(rest, []byte("\n"))
	if !labelled || !ended {
		return nil, fmt.Errorf("%w: it does not begin as %q does", ErrDamaged, label)
	}
	if want := sha256.Sum256(content); string(sum) != hex.EncodeToString(want[:]) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	return content, nil
}
