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

// finder finds one kind of credential, which has one of the bytes of its class.
type finder struct {
	class class
	// find appends the spans in a text to found.
	find func(text string, found []span) []span
}

// class is a set of bytes.
type class uint8

const (
	inToken class = 1 << iota
	inSecret
	afterScheme
	inKey
	inURL
	inParameter
	inEncoded
	allClasses = 1<<iota - 1
)

// classes are the classes of each byte.
var classes = [256]class{
	'.': inToken, '_': inSecret, ' ': afterScheme, '+': afterScheme, '\t': afterScheme, '"': inKey, '-': inKey, ':': inURL, '=': inParameter,
	'%': inEncoded,
}

// classesOf returns the classes of the bytes of a text. Most texts are short and have few: names, or scopes. In a long text the
// finders search faster.
func classesOf(text string) (all class) {
	const short = 48
	if len(text) > short {
		return allClasses
	}
	for i := range len(text) {
		all |= classes[text[i]]
	}
	return all
}

var (
	anywhere = []finder{{inToken, findTokens}, {inSecret, findSecrets}, {afterScheme, findSchemes}, {inKey, findKeys}, {inURL, findInURLs}}
	inURIs   = append(slices.Clone(anywhere), finder{inParameter, findParameters})
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
	all := classesOf(text)
	if all == 0 {
		return nil
	}
	found := findPlain(text, all, finders)
	if all&inEncoded != 0 && strings.IndexByte(text, '%') >= 0 {
		found = findEncoded(text, finders, found)
	}
	return disjoint(found)
}

// findPlain returns the spans in a text of certain classes, without those that are percent-encoded.
func findPlain(text string, all class, finders []finder) (found []span) {
	for i := range finders {
		if all&finders[i].class != 0 {
			found = finders[i].find(text, found)
		}
	}
	return found
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
