// Package percent undoes percent-encoding (RFC 3986 §2.1) leniently, a byte at a time, for readers of URLs that leave
// what is not well-formed as it stands. It imports only the standard library.
package percent

import "strconv"

// Decode returns the byte that s begins with in percent-encoding, as in "%2f". It is not ok if s begins with anything else.
func Decode(s string) (b byte, ok bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	return Byte(s[1:])
}

// Byte returns the value of the two hexadecimal digits that s begins with. It is not ok if s begins with anything else.
func Byte(s string) (b byte, ok bool) {
	if len(s) < 2 {
		return 0, false
	}
	value, err := strconv.ParseUint(s[:2], 16, 8)
	return byte(value), err == nil
}
