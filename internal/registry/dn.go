package registry

import (
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"
)

var errDN = errors.New("must be a distinguished name as in RFC 4514, such as CN=books,O=Example")

// checkDN returns an error if a text is not a distinguished name (RFC 4514 §3). It does not know the names of attributes:
// whether they can match is for the code that compares names.
func checkDN(text string) error {
	for rest, more := text, true; more; {
		var err error
		if rest, more, err = cutAttribute(rest); err != nil {
			return err
		}
	}
	return nil
}

// cutAttribute reads one type and value, and returns what follows the "," or "+" after it.
func cutAttribute(text string) (rest string, more bool, err error) {
	kind, value, ok := strings.Cut(text, "=")
	if kind = strings.TrimSpace(kind); !ok || !isAttributeType(kind) {
		return "", false, errDN
	}
	end := strings.IndexAny(value, ",+")
	if strings.HasPrefix(strings.TrimSpace(value), "#") {
		if end < 0 {
			end = len(value)
		}
		if b, err := hex.DecodeString(strings.TrimSpace(value[:end])[1:]); err != nil || len(b) == 0 {
			return "", false, errDN
		}
	} else if end, ok = endOfValue(value); !ok {
		return "", false, errDN
	}
	if strings.TrimSpace(value[:end]) == "" {
		return "", false, errDN
	}
	if end == len(value) {
		return "", false, nil
	}
	return value[end+1:], true, nil
}

// endOfValue returns where a value ends. It is not ok if a character is not escaped, or the escape is not valid.
func endOfValue(value string) (end int, ok bool) {
	if !utf8.ValidString(value) {
		return 0, false
	}
	for i := 0; i < len(value); i++ {
		switch c := value[i]; c {
		case ',', '+':
			return i, true
		case '"', ';', '<', '>', 0:
			return 0, false
		case '\\':
			if i+1 < len(value) && strings.IndexByte(` "#+,;<=>\`, value[i+1]) >= 0 {
				i++
				continue
			}
			if i+2 >= len(value) {
				return 0, false
			}
			if _, err := hex.DecodeString(value[i+1 : i+3]); err != nil {
				return 0, false
			}
			i += 2
		}
	}
	return len(value), true
}

// isAttributeType reports whether a text is a short name or an OID (RFC 4512 §1.4).
func isAttributeType(text string) bool {
	if text == "" {
		return false
	}
	if strings.Trim(text, "0123456789.") == "" {
		return !strings.Contains("."+text+".", "..")
	}
	isLetter := strings.IndexByte("abcdefghijklmnopqrstuvwxyz", text[0]|0x20) >= 0
	return isLetter && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
