package registry

import (
	"encoding/json"
	"strconv"
	"strings"
)

// The types of assertions that an Identity is about.
const (
	TypeJWT    = "jwt"        // a JWT (RFC 7523)
	TypeSPIFFE = "jwt-spiffe" // a JWT-SVID, whose subject is a SPIFFE ID
)

// Identity is a subject of another issuer that may act as the client.
type Identity struct {
	// Issuer is the URL of the issuer, exactly as in the claim iss.
	Issuer string
	// Subject is the only subject. SubjectPattern stands for several. Exactly one of them is set.
	Subject, SubjectPattern string
	// Type is TypeJWT or TypeSPIFFE. "" means TypeJWT.
	Type string
	// Claims are required in addition. An object requires each of its members, and any other value must be the same. The
	// values are those of encoding/json, with json.Number for numbers.
	Claims map[string]any
}

func (i Identity) kind() string {
	if i.Type == "" {
		return TypeJWT
	}
	return i.Type
}

// subject returns the subject or the pattern.
func (i Identity) subject() string {
	if i.SubjectPattern != "" {
		return i.SubjectPattern
	}
	return i.Subject
}

// Covers reports whether a subject of an issuer is one that the identity is about, apart from its claims and its type.
func (i Identity) Covers(issuer, subject string) bool {
	if i.Issuer != issuer || subject == "" {
		return false
	}
	if i.SubjectPattern != "" {
		return matches(i.SubjectPattern, subject)
	}
	return i.Subject == subject
}

// Matches reports whether a verified assertion of this type is of the identity. The numbers of its claims are json.Number or
// float64.
func (i Identity) Matches(kind, issuer, subject string, claims map[string]any) bool {
	return i.kind() == kind && i.Covers(issuer, subject) && holdsAll(claims, i.Claims)
}

// HasIdentity reports whether an identity of the client matches a verified assertion.
func (c *Client) HasIdentity(kind, issuer, subject string, claims map[string]any) bool {
	for _, i := range c.Identities {
		if i.Matches(kind, issuer, subject, claims) {
			return true
		}
	}
	return false
}

// covers reports whether an identity of the client covers a subject.
func (c *Client) covers(issuer, subject string) bool {
	for _, i := range c.Identities {
		if i.Covers(issuer, subject) {
			return true
		}
	}
	return false
}

// Covering returns those of the clients that have an identity which covers a subject.
func Covering(clients []*Client, issuer, subject string) (covering []*Client) {
	for _, c := range clients {
		if c.covers(issuer, subject) {
			covering = append(covering, c)
		}
	}
	return covering
}

// separators end the segments of a subject.
const separators = ":/"

const wildcard = "*"

// matches reports whether a pattern stands for a subject. A "*" is a whole segment of the pattern. It stands for one segment
// that is not empty. As the last segment it stands for the rest of the subject, which is not empty.
func matches(pattern, subject string) bool {
	for {
		literal, rest, wild := strings.Cut(pattern, wildcard)
		after, ok := strings.CutPrefix(subject, literal)
		switch {
		case !ok:
			return false
		case !wild:
			return after == ""
		case rest == "":
			return after != ""
		}
		end := strings.IndexAny(after, separators)
		if end <= 0 {
			return false
		}
		pattern, subject = rest, after[end:]
	}
}

// overlap reports whether a text exists that both stand for. Each is a subject or a pattern.
func overlap(a, b string) bool {
	for {
		switch {
		case a == "" || b == "":
			return a == b
		case a == wildcard || b == wildcard: // the other is not empty
			return true
		}
		segmentA, restA := cutSegment(a)
		segmentB, restB := cutSegment(b)
		switch {
		case segmentA == segmentB:
		case segmentA == wildcard && segmentB != "", segmentB == wildcard && segmentA != "":
		default:
			return false
		}
		if restA == "" || restB == "" {
			return restA == restB
		}
		if restA[0] != restB[0] {
			return false
		}
		a, b = restA[1:], restB[1:]
	}
}

// cutSegment returns the first segment, and the rest from its separator on.
func cutSegment(s string) (segment, rest string) {
	if end := strings.IndexAny(s, separators); end >= 0 {
		return s[:end], s[end:]
	}
	return s, ""
}

// fixedPart returns the beginning of a pattern that has no "*".
func fixedPart(pattern string) string {
	fixed, _, _ := strings.Cut(pattern, wildcard)
	return fixed
}

// conflicts reports whether an assertion may exist that is of both identities. The type makes no difference.
func (i Identity) conflicts(other Identity) bool {
	return i.Issuer == other.Issuer && overlap(i.subject(), other.subject()) && !exclude(i.Claims, other.Claims)
}

// holds reports whether a value of a claim is the required one.
func holds(value, required any) bool {
	switch required := required.(type) {
	case map[string]any:
		object, ok := value.(map[string]any)
		return ok && holdsAll(object, required)
	case []any:
		list, ok := value.([]any)
		if !ok || len(list) != len(required) {
			return false
		}
		for i := range list {
			if !same(list[i], required[i]) {
				return false
			}
		}
		return true
	}
	return sameScalar(value, required)
}

func holdsAll(object, required map[string]any) bool {
	for name, r := range required {
		value, there := object[name]
		if !there || !holds(value, r) {
			return false
		}
	}
	return true
}

// same reports whether two values are equal.
func same(a, b any) bool {
	objectA, isA := a.(map[string]any)
	objectB, isB := b.(map[string]any)
	if isA && isB {
		return len(objectA) == len(objectB) && holdsAll(objectA, objectB) && holdsAll(objectB, objectA)
	}
	return isA == isB && holds(a, b)
}

func sameScalar(a, b any) bool {
	switch a.(type) {
	case json.Number, float64:
		return sameNumber(numberText(a), numberText(b))
	case string, bool, nil:
		return a == b
	}
	return false
}

// numberText returns a number as text, or "" for any other value.
func numberText(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// sameNumber compares texts, and what a float64 holds exactly also by value: 1 is 1.0.
func sameNumber(a, b string) bool {
	if a == b {
		return a != ""
	}
	const exact = 1 << 53
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y && x < exact && x > -exact
}

// exclude reports whether no claims hold both of what two identities require.
func exclude(a, b map[string]any) bool {
	for name, x := range a {
		if y, both := b[name]; both && excludeValues(x, y) {
			return true
		}
	}
	return false
}

func excludeValues(a, b any) bool {
	objectA, isA := a.(map[string]any)
	objectB, isB := b.(map[string]any)
	if isA && isB {
		return exclude(objectA, objectB)
	}
	return !same(a, b)
}
