// Package credential finds and masks tokens and secrets in texts that will be logged or shown. Start with Mask and MaskURI. It
// imports only internal/percent of this module.
//
// It finds, anywhere in a text:
//
//   - JWTs in compact form, signed (RFC 7515 §7.1) or encrypted (RFC 7516 §7.1), with the rest of an SD-JWT;
//   - client secrets of package registry, including mistyped ones;
//   - the credentials that follow the schemes Basic, Bearer and DPoP;
//   - private members of JWKs (RFC 7518 §6) in JSON text, and private keys in PEM;
//   - in URLs the password of the user information, and the values of parameters whose names say that they are
//     credentials (see [IsName]), in the query and in the path.
//
// It finds each of them also if it is percent-encoded once or twice. It does not find a credential that is split over several
// texts, is encoded in another way (such as a JWT in base64) or looks like an ordinary word (such as an opaque token of
// another issuer).
package credential

import (
	"slices"
	"strings"
)

// These replace a credential.
const (
	Token  = "[token]"
	Secret = "[secret]"
)

// SecretPrefix is the prefix of client secrets.
const SecretPrefix = "m2m_"

// span is a credential in a text.
type span struct {
	from, to int
	mask     string // what replaces it
}

// finder appends the spans of one kind of credential in a text to found.
type finder func(text string, found []span) []span

var (
	anywhere = []finder{findTokens, findSecrets, findSchemes, findKeys, findInURLs}
	inURIs   = append(slices.Clone(anywhere), findParameters)
)

// Contains reports whether a text contains a token or a secret.
func Contains(text string) bool { return len(find(text, anywhere)) > 0 }

// Mask replaces tokens and secrets in a text with [Token] and [Secret].
func Mask(text string) string { return mask(text, anywhere) }

// MaskURI is like Mask, for a URI of any form, such as a path and a query, or for a header's value. It masks parameters
// anywhere in the text.
func MaskURI(uri string) string { return mask(uri, inURIs) }

// mask masks what it finds until it finds nothing more: the text around a mask may look like another credential, such as the
// value of a parameter whose name was masked.
func mask(text string, finders []finder) string {
	for range maxRounds {
		spans := find(text, finders)
		if len(spans) == 0 {
			return text
		}
		text = replace(text, spans)
	}
	if len(find(text, finders)) > 0 {
		return Secret
	}
	return text
}

// maxRounds is more than any known text needs. Each round costs as much as the first.
const maxRounds = 6

func replace(text string, spans []span) string {
	var b strings.Builder
	end := 0
	for _, s := range spans {
		b.WriteString(text[end:s.from])
		b.WriteString(s.mask)
		end = s.to
	}
	b.WriteString(text[end:])
	return b.String()
}

// find returns the spans in a text, in order and without overlaps.
func find(text string, finders []finder) []span {
	if len(text) < minLength {
		return nil
	}
	var found []span
	for _, find := range finders {
		found = find(text, found)
	}
	if strings.IndexByte(text, '%') >= 0 {
		found = findEncoded(text, finders, found)
	}
	return disjoint(found)
}

// minLength is less than the length of any credential with the name of its parameter.
const minLength = 5

func disjoint(found []span) []span {
	if len(found) < 2 {
		return found
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	merged := found[:1]
	for _, s := range found[1:] {
		last := &merged[len(merged)-1]
		if s.from >= last.to {
			merged = append(merged, s)
		} else {
			last.to = max(last.to, s.to)
		}
	}
	return merged
}
