package token

import (
	"cmp"
	stdjson "encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// maxTextSize bounds iss, sub, client_id and jti, in bytes.
const maxTextSize = 1 << 10

// maxDate is the last second of the year 9999: a later NumericDate is a mistake, such as one that
// was counted in milliseconds.
const maxDate = 253402300799

// Claims are the claims of a verified token.
type Claims struct {
	// Issuer is iss, the issuer that Verify expected.
	Issuer string
	// Subject is sub, ClientID is client_id or the claim that Expect.ClientClaim names, and ID is jti. Each is "" if it is
	// missing and Expect.AllowMissing allows that.
	Subject, ClientID, ID string
	// Scope is scope, or the claim that Expect.ScopeClaim names, as a space-separated list. It is "" if the token has none.
	Scope string
	// Scopes are the scopes of Scope that are valid in the scope grammar, in order. The others cover nothing.
	Scopes []scope.Scope
	// Audience is aud. It is nil if aud is missing and Expect.AllowMissing allows that.
	Audience []string
	// IssuedAt is iat, NotBefore is nbf and Expires is exp. The first two are zero if they are missing.
	IssuedAt, NotBefore, Expires time.Time
	// All is every claim as decoded JSON: map[string]any, []any, string, bool, nil, and the
	// standard library's json.Number for all numbers.
	All map[string]any

	confirmation Confirmation
	// bound is set if the token has a cnf claim of any form. Its issuer gave it to the holder of a key. Accepting it without a
	// proof of that key would let a thief use it (RFC 9449 §7.2).
	bound bool
}

// claimReader reads claims from a payload. It keeps the first error in err. What is read after an error is meaningless.
type claimReader struct {
	all      payload
	optional []string
	err      error
}

func (r *claimReader) fail(name, what string) {
	if r.err == nil {
		r.err = refuse(BadClaims, name+" "+what)
	}
}

// Get returns a claim, or nil if the token does not have it. A name with dots may be that of a claim within claims, as
// "realm_access.roles" is. Names may themselves have dots, as "kubernetes.io" does, so the longest name that is there counts.
func (c *Claims) Get(name string) any {
	value, _ := claimAt(c.All, name)
	return value
}

func claimAt(object map[string]any, name string) (any, bool) {
	if value, ok := object[name]; ok {
		return value, true
	}
	for end := strings.LastIndexByte(name, '.'); end > 0; end = strings.LastIndexByte(name[:end], '.') {
		if inner, ok := object[name[:end]].(map[string]any); ok {
			return claimAt(inner, name[end+1:])
		}
	}
	return nil, false
}

// text reads a claim that is a name.
func (r *claimReader) text(name string) string {
	value, ok := claimAt(r.all, name)
	if !ok && slices.Contains(r.optional, name) {
		return ""
	}
	text, isText := value.(string)
	switch {
	case !ok:
		r.fail(name, "is missing")
	case !isText || !isName(text):
		r.fail(name, "is not a string that can name something")
	}
	return text
}

// CheckName returns an error if a text cannot be an issuer, an audience, a subject, a client or an ID in a token: if it is
// empty, is longer than 1 KiB or has control characters.
func CheckName(text string) error {
	if !isName(text) {
		return fmt.Errorf("it is empty, longer than %d bytes or has control characters", maxTextSize)
	}
	return nil
}

// isName reports whether a text can be compared, logged and put into a header safely.
func isName(text string) bool {
	return text != "" && len(text) <= maxTextSize && !strings.ContainsFunc(text, isControl)
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// audience reads aud: a string, or an array of strings (RFC 7519 §4.1.3).
func (r *claimReader) audience(optional bool) []string {
	if _, ok := r.all["aud"]; !ok && optional {
		return nil
	}
	list, isList := r.all["aud"].([]any)
	if !isList {
		return []string{r.text("aud")}
	}
	audience := make([]string, 0, len(list))
	for _, value := range list {
		text, ok := value.(string)
		if !ok || !isName(text) {
			r.fail("aud", "is not one or more strings")
		}
		audience = append(audience, text)
	}
	if len(audience) == 0 {
		r.fail("aud", "is empty")
	}
	return audience
}

// date reads a NumericDate (RFC 7519 §2), which may have a fraction. It returns the zero time if the claim is missing.
func (r *claimReader) date(name string) time.Time {
	value, ok := r.all[name]
	if !ok {
		return time.Time{}
	}
	number, ok := value.(stdjson.Number)
	seconds, err := strconv.ParseFloat(string(number), 64)
	if !ok || err != nil || seconds <= 0 || seconds > maxDate {
		r.fail(name, "is not a date in seconds")
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC()
}

func (r *claimReader) requiredDate(name string) time.Time {
	if _, ok := r.all[name]; !ok && !slices.Contains(r.optional, name) {
		r.fail(name, "is missing")
	}
	return r.date(name)
}

// scopes reads the claim that holds the scopes. Without a name it is "scope", which must be a space-separated list (RFC 6749
// §3.3). A named claim may also be an array with one scope in each element.
func (r *claimReader) scopes(named string) (list string, known []scope.Scope) {
	name := cmp.Or(named, "scope")
	value, ok := claimAt(r.all, name)
	if !ok {
		return "", nil
	}
	array, isArray := value.([]any)
	if isArray && named != "" {
		list = r.joined(name, array)
	} else if list, ok = value.(string); !ok {
		r.fail(name, "is not a string")
	}
	for raw := range strings.SplitSeq(list, " ") {
		if s, err := scope.Parse(raw); err == nil {
			known = append(known, s)
		}
	}
	return list, known
}

// joined joins an array of scopes to a list. It refuses an element with a space, which would become two scopes.
func (r *claimReader) joined(name string, array []any) string {
	words := make([]string, len(array))
	for n, value := range array {
		word, ok := value.(string)
		if !ok || word == "" || strings.Contains(word, " ") {
			r.fail(name, "is not a string or an array of scopes")
		}
		words[n] = word
	}
	return strings.Join(words, " ")
}
