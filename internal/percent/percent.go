// Package percent undoes percent-encoding (RFC 3986 §2.1) leniently, a byte at a time, for readers of URLs that leave
// what is not well-formed as it stands. It imports nothing.
package percent

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
	high, low := digit(s[0]), digit(s[1])
	return high<<4 | low, high < 16 && low < 16
}

// digit returns the value of a hexadecimal digit, or 255 for another character.
func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
