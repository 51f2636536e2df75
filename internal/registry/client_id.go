package registry

import (
	"errors"
	"fmt"
	"strings"
)

// MaxIDLength is the greatest number of bytes of a client's or a secret's id.
const MaxIDLength = 128

// CheckClientID returns an error if id is not valid as a client_id. An id has 1 to MaxIDLength of the printable ASCII
// characters that RFC 6749 allows (appendix A.1), except for
//
//   - ":", "%", "+" and space, because Basic authentication carries the form-encoded id (RFC 6749 §2.3.1), many clients
//     send it without encoding, and both must mean the same client;
//   - `"` and `\`, because ids are in quoted strings of headers and logs.
//
// Errors do not repeat the id.
func CheckClientID(id string) error {
	if id == "" {
		return errors.New("empty")
	}
	if len(id) > MaxIDLength {
		return fmt.Errorf("longer than %d bytes", MaxIDLength)
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || strings.IndexByte(`:%+"\`, c) >= 0 {
			return fmt.Errorf("character 0x%02x at byte %d is not allowed", c, i+1)
		}
	}
	return nil
}
