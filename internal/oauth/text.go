package oauth

import "strings"

// maxDescription bounds an error_description in bytes.
const maxDescription = 512

// cleanDescription returns a description that may be sent.
func cleanDescription(s string) string {
	clean := cleanText(s)
	return clean[:min(len(clean), maxDescription)]
}

// cleanText replaces the characters that RFC 6749 §5.2 and RFC 6750 §3 do not allow in an error_description and in a list of
// scopes. It leaves %x20-21 / %x23-5B / %x5D-7E, so that the text cannot forge a header or a log line.
func cleanText(s string) string { return strings.Map(cleanRune, s) }

func cleanRune(r rune) rune {
	switch {
	case r == '"':
		return '\''
	case r == '\\':
		return '/'
	case r == '\r' || r == '\n' || r == '\t':
		return ' '
	case r < 0x20 || r > 0x7e:
		return '?'
	}
	return r
}
