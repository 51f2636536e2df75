package credential

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// findTokens finds JWTs in compact form: parts in base64url with dots between them, of which the first is a JSON
// object. A token has two dots, or one if it was cut off, and then the second part is a JSON object, too.
//
// A token whose case was changed, as in a host name, cannot be decoded. It is recognized by how it begins.
func findTokens(text string, found []span) []span {
	if strings.IndexByte(text, '.') < 0 {
		return found
	}
	for at := 0; at < len(text); at++ {
		folded := isFolded(text, at)
		if !folded && (!mayOpenObject(text, at) || !opensObject(text[at:])) {
			continue
		}
		end, isToken := endOfToken(text, at)
		if isToken {
			found = append(found, span{at, end, Token})
		}
		at = end - 1 // no token begins inside these parts, and searching them again would take quadratic time
	}
	return found
}

// mayOpenObject is a fast check that is true wherever base64url of a JSON object begins: "e" and "y" or "w" encode "{". Encoded
// white space may precede it, but only at the start of a part.
func mayOpenObject(text string, at int) bool {
	switch text[at] {
	case 'e':
		return at+1 < len(text) && (text[at+1] == 'y' || text[at+1] == 'w')
	case 'C', 'D', 'I':
		return at == 0 || !isBase64URL(text[at-1])
	}
	return false
}

// isFolded reports whether a part begins that may be base64url of a JSON object in lower or upper case. A shorter part cannot
// name an algorithm.
func isFolded(text string, at int) bool {
	const begin, least = "eyj", 16
	return len(text)-at >= least && (text[at] == 'e' || text[at] == 'E') && strings.EqualFold(text[at:at+len(begin)], begin) &&
		(at == 0 || !isBase64URL(text[at-1])) && lengthOfPart(text[at:at+least]) == least
}

const jsonSpace = " \t\r\n"

// opensObject reports whether a text begins with base64url of a JSON object, as far as its first member.
func opensObject(text string) bool {
	const most = 64 // with more white space the answer is true
	// bounded, because each position of a long part may be checked
	n := lengthOfPart(text[:min(len(text), most)])
	n -= n % 4
	var decoded [most]byte
	size, err := base64.RawURLEncoding.Decode(decoded[:], []byte(text[:n]))
	if err != nil || size == 0 {
		return false
	}
	head := bytes.TrimLeft(decoded[:size], jsonSpace)
	if len(head) == 0 {
		return n == most
	}
	member := bytes.TrimLeft(head[1:], jsonSpace)
	return head[0] == '{' && (len(member) == 0 || member[0] == '"')
}

// endOfToken returns the end of the parts that begin at a position, and whether they are a token.
func endOfToken(text string, at int) (end int, isToken bool) {
	end = at + lengthOfPart(text[at:])
	dots, object := 0, false
	for {
		end += len(text[end:]) - len(strings.TrimLeft(text[end:], "=")) // padding of careless encoders
		if end == len(text) || text[end] != '.' && (dots == 0 || text[end] != '~') {
			break
		}
		if text[end] == '.' {
			dots++
			object = object || opensObject(text[end+1:])
		}
		end++
		end += lengthOfPart(text[end:])
	}
	return end, dots >= 2 || dots == 1 && object
}

func lengthOfPart(text string) int {
	for n := range len(text) {
		if !isBase64URL(text[n]) {
			return n
		}
	}
	return len(text)
}

func isBase64URL(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
