package credential

import (
	"regexp"
	"strings"
)

// secretLike matches client secrets, including those that were mistyped, cut off at the end, or changed in case, as in a host
// name.
var secretLike = regexp.MustCompile(`(?i)` + SecretPrefix + `[0-9a-z]{40,}`)

// ContainsSecret reports whether a text contains what may be a client secret.
func ContainsSecret(text string) bool { return len(findSecrets(text, nil)) > 0 }

func findSecrets(text string, found []span) []span {
	if !hasPrefixWithin(text) {
		return found
	}
	for _, at := range secretLike.FindAllStringIndex(text, -1) {
		found = append(found, span{at[0], at[1], Secret})
	}
	return found
}

// hasPrefixWithin reports whether a text contains the prefix of secrets. It is fast, because most texts have no "_".
func hasPrefixWithin(text string) bool {
	before, _, found := strings.Cut(text, "_")
	for at := len(before) + 1; found; at += len(before) + 1 {
		if at >= len(SecretPrefix) && strings.EqualFold(text[at-len(SecretPrefix):at], SecretPrefix) {
			return true
		}
		before, _, found = strings.Cut(text[at:], "_")
	}
	return false
}

// schemeLike is an authentication scheme with credentials (RFC 9110 §11.4). In a form "+" is a space.
var schemeLike = regexp.MustCompile(`(?i)\b(basic|bearer|dpop)[ \t+]+([0-9a-z._~+/=-]{8,})`)

// findSchemes ignores prose, such as "Bearer authentication", and parameters of challenges, such as Bearer realm="x".
func findSchemes(text string, found []span) []span {
	if !hasScheme(text) {
		return found
	}
	for _, at := range schemeLike.FindAllStringSubmatchIndex(text, -1) {
		word := text[at[4]:at[5]]
		if isProse(word) || isChallenge(word) {
			continue
		}
		mask := Token
		if strings.EqualFold(text[at[2]:at[3]], "basic") {
			mask = Secret
		}
		found = append(found, span{at[4], at[5], mask})
	}
	return found
}

// isChallenge reports whether a word is the name of a parameter (RFC 9110 §11.2), maybe with its value. Credentials have "="
// only at their end, and are rarely all in lower case before it.
func isChallenge(word string) bool {
	name, _, found := strings.Cut(word, "=")
	return found && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

func hasScheme(text string) bool {
	for at := range len(text) {
		if c := text[at]; c != ' ' && c != '+' && c != '\t' {
			continue
		}
		if endsInScheme(text[:at]) {
			return true
		}
	}
	return false
}

func endsInScheme(text string) bool {
	if text == "" {
		return false
	}
	scheme := ""
	switch text[len(text)-1] | 0x20 { // in lower case
	case 'c':
		scheme = "basic"
	case 'r':
		scheme = "bearer"
	case 'p':
		scheme = "dpop"
	}
	return scheme != "" && len(text) >= len(scheme) && strings.EqualFold(text[len(text)-len(scheme):], scheme)
}

func isProse(word string) bool {
	return !strings.ContainsAny(word, "0123456789=") && strings.ToLower(word[1:]) == word[1:]
}

var (
	// privateMember is a private member of a JWK (RFC 7518 §6.2.2, §6.3.2, §6.4.1), also in JSON within JSON.
	privateMember = regexp.MustCompile(`"(?:d|p|q|dp|dq|qi|k)\\*"\s*:\s*\\*"([0-9A-Za-z_+/-]{16,}=*)`)
	privatePEM    = regexp.MustCompile(`(?s)-----BEGIN[A-Z0-9 +]*PRIVATE[ +]KEY-----.*?(?:-----END[A-Z0-9 +]*PRIVATE[ +]KEY-----|$)`)
)

func findKeys(text string, found []span) []span {
	if strings.IndexByte(text, '"') >= 0 {
		for _, at := range privateMember.FindAllStringSubmatchIndex(text, -1) {
			found = append(found, span{at[2], at[3], Secret})
		}
	}
	if strings.Contains(text, "-----BEGIN") {
		for _, at := range privatePEM.FindAllStringIndex(text, -1) {
			found = append(found, span{at[0], at[1], Secret})
		}
	}
	return found
}

// IsPrivateMember reports whether a member of a JWK, which has the member kty, is private.
func IsPrivateMember(name string) bool {
	switch name {
	case "d", "p", "q", "dp", "dq", "qi", "k", "oth":
		return true
	}
	return false
}
