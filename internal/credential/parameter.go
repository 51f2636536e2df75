package credential

import (
	"bytes"
	"slices"
	"strings"
)

// IsName reports whether the name of a parameter or a header says that it holds a credential. Case and punctuation do not
// matter: client_secret, clientSecret, X-Client-Secret and client[secret] are the same.
func IsName(name string) bool {
	if len(name) > maxName {
		name = name[len(name)-maxName:]
	}
	var letters [maxName]byte // on the stack, because this runs for each header of each request
	plain := appendPlain(letters[:0], name)
	if slices.Contains(credentialNames, string(plain)) {
		return true
	}
	return slices.ContainsFunc(credentialWords, func(word string) bool { return bytes.Contains(plain, []byte(word)) }) &&
		!slices.ContainsFunc(cursors, func(cursor string) bool { return bytes.HasSuffix(plain, []byte(cursor)) })
}

// maxName is longer than any name of a parameter.
const maxName = 128

var (
	credentialNames = []string{"auth", "dpop", "key", "pass", "pw", "sig"}
	credentialWords = []string{
		"accesskey", "apikey", "assertion", "authkey", "authorization", "bearer", "credential", "functionskey", "jwt", "passphrase",
		"passwd", "password", "privatekey", "pwd", "secret", "signature", "subscriptionkey", "token",
	}
	// cursors name a position in a list.
	cursors = []string{"continuationtoken", "nexttoken", "pagetoken", "synctoken"}
)

// appendPlain appends the letters of a name, in lower case, and its digits.
func appendPlain(plain []byte, name string) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			plain = append(plain, c+'a'-'A')
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			plain = append(plain, c)
		}
	}
	return plain
}

// Where the name of a parameter begins and where its value ends, in queries, matrix parameters, headers and cookies.
const (
	beforeName = "?&;/#, \t\"'{(="
	afterValue = "&;#, \t\"'})"
)

// findParameters finds the values of parameters whose names say that they hold credentials.
func findParameters(text string, found []span) []span {
	for from := 0; ; {
		equals := strings.IndexByte(text[from:], '=')
		if equals < 0 {
			return found
		}
		equals += from
		from = equals + 1
		name := text[:equals]
		name = name[strings.LastIndexAny(name, beforeName)+1:]
		if isMask(name) || !IsName(name) {
			continue
		}
		value := text[from:]
		if end := strings.IndexAny(value, afterValue); end >= 0 {
			value = value[:end]
		}
		if value != "" && !isMask(value) {
			found = append(found, span{from, from + len(value), maskOf(name)})
		}
		from += len(value)
	}
}

func isMask(text string) bool { return text == Token || text == Secret }

func maskOf(name string) string {
	if plain := strings.ToLower(name); strings.Contains(plain, "token") || strings.Contains(plain, "assertion") || strings.Contains(plain, "jwt") {
		return Token
	}
	return Secret
}

// findInURLs finds credentials that are recognized by their place in a URL. Most URLs have neither parameters nor user
// information.
func findInURLs(text string, found []span) []span {
	if strings.IndexByte(text, '=') < 0 && strings.IndexByte(text, '@') < 0 {
		return found
	}
	return findURLs(text, found)
}

func findURLs(text string, found []span) []span {
	for from := 0; ; {
		at := strings.Index(text[from:], "://")
		if at < 0 {
			return found
		}
		from += at
		url := text[from:]
		if end := strings.IndexAny(url, " \t\r\n\"'<>`"); end >= 0 {
			url = url[:end]
		}
		for _, s := range findUserInfo(url, findParameters(url, nil)) {
			found = append(found, span{from + s.from, from + s.to, s.mask})
		}
		from += len(url)
	}
}

// findUserInfo finds passwords in URLs (RFC 3986 §3.2.1).
func findUserInfo(text string, found []span) []span {
	for from := 0; ; {
		scheme := strings.Index(text[from:], "://")
		if scheme < 0 {
			return found
		}
		from += scheme + len("://")
		authority := text[from:]
		if end := strings.IndexAny(authority, "/?# \t\""); end >= 0 {
			authority = authority[:end]
		}
		at := strings.LastIndexByte(authority, '@')
		if at < 0 {
			continue
		}
		if colon := strings.IndexByte(authority[:at], ':'); colon >= 0 && authority[colon+1:at] != Secret && colon+1 < at {
			found = append(found, span{from + colon + 1, from + at, Secret})
		}
	}
}
