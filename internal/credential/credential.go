// Package credential finds tokens and secrets in texts that are about to be logged or shown.
//
// It finds, anywhere in a text:
//
//   - JWTs in compact form, signed (RFC 7515 §7.1) or encrypted (RFC 7516 §7.1), with what follows them in an SD-JWT;
//   - client secrets of package registry, also mistyped ones;
//   - the credentials that follow the schemes Basic, Bearer and DPoP;
//   - private members of JWKs (RFC 7518 §6) in JSON text, and private keys in PEM;
//   - in URLs the password of the user information, and the values of parameters whose names say that they are
//     credentials (see [IsName]), in the query and in the path.
//
// Each is also found where it is percent-encoded, once or twice. It does not find a credential that is split over
// several texts, is encoded in another way (such as base64 of a JWT), or looks like any other word (such as an opaque
// token of another issuer).
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

// SecretPrefix is what client secrets begin with.
const SecretPrefix = "m2m_"

// span is a credential in a text.
type span struct {
	from, to int
	mask     string // what stands in its place
}

// finder finds spans in a text. It is called for every text that may hold a credential of its kind.
type finder func(text string, found []span) []span

var (
	anywhere = []finder{findTokens, findSecrets, findSchemes, findKeys, findInURLs}
	inURIs   = append(slices.Clone(anywhere), findParameters)
)

// Contains reports whether a text holds a token or a secret.
func Contains(text string) bool { return len(find(text, anywhere)) > 0 }

// Mask returns the text with [Token] and [Secret] in the place of tokens and secrets.
func Mask(text string) string { return mask(text, anywhere) }

// MaskURI is Mask for a URI of any form, such as a path and a query, or for a header's value. Parameters are masked
// wherever they stand.
func MaskURI(uri string) string { return mask(uri, inURIs) }

// mask masks what it finds until nothing is found: what stands around a mask may be taken for a credential in turn, as
// the value of a parameter whose name has become a mask.
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

// maxRounds is more than any text needs that is known. Each round costs as much as the first.
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

// minLength is less than the length of any credential, with the name of its parameter.
const minLength = 5

func disjoint(found []span) []span {
	if len(found) < 2 {
		return found
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	kept := found[:1]
	for _, s := range found[1:] {
		last := &kept[len(kept)-1]
		if s.from >= last.to {
			kept = append(kept, s)
		} else {
			last.to = max(last.to, s.to)
		}
	}
	return kept
}
