// Package revocation knows which tokens of an issuer may no longer be used although they have not
// expired. A Store keeps them in a storage that several nodes share, and in memory as a Set, which is
// all that a request looks at.
//
// A token is named by its jti, and never by its text, which can be spelt in more than one way
// elsewhere; or it is one of all the tokens that a client had been issued up to a moment. Nothing is
// ever taken back: what is known is the union of all that any node has written, so nodes need no lock
// to write, and no order to read in. An entry goes when no token that it is about can be valid any more.
package revocation

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxTokenLife is the longest that a token of an issuer is valid.
	MaxTokenLife = 24 * time.Hour
	// Grace is how much longer than its tokens an entry is kept: doors allow clocks to differ, and
	// take a token some minutes after it has expired.
	Grace = 10 * time.Minute
	// maxAhead is how far in the future the moment up to which a client's tokens are revoked may lie,
	// for issuers whose clocks are ahead.
	maxAhead = 5 * time.Minute
	// maxNameSize bounds a jti and a client_id, in bytes.
	maxNameSize = 1 << 10
)

// Entry is one revocation: of the token ID, or of the tokens of ClientID that were issued up to Before.
type Entry struct {
	// ID is the jti of the token; "" where a client's tokens are meant.
	ID string
	// ClientID is the client whose tokens are meant; "" where it is one token.
	ClientID string
	// Before is the moment up to which a client's tokens are revoked. It counts in whole seconds, as
	// iat does: a token issued in the same second is revoked, too.
	Before time.Time
	// Expires is when the last token that is meant expires, in whole seconds.
	Expires time.Time
}

// OfToken revokes one token, which expires then.
func OfToken(id string, expires time.Time) Entry { return Entry{ID: id, Expires: ceil(expires)} }

// OfClient revokes all tokens that a client had been issued up to a moment.
func OfClient(id string, before time.Time) Entry {
	before = before.Truncate(time.Second).UTC()
	return Entry{ClientID: id, Before: before, Expires: before.Add(MaxTokenLife)}
}

// ceil is the first whole second that is not before t.
func ceil(t time.Time) time.Time {
	whole := t.Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return whole.UTC()
}

// Check says why an entry is none that can be meant.
func (e Entry) Check(now time.Time) error {
	switch {
	case e.ID != "" && e.ClientID != "" || e.ID == "" && e.ClientID == "":
		return errors.New("either a jti or a client is needed")
	case !isName(e.ID + e.ClientID):
		return fmt.Errorf("a jti or a client is longer than %d bytes, or has control characters or what is not UTF-8", maxNameSize)
	case e.ClientID != "" && e.Before.After(now.Add(maxAhead)):
		return fmt.Errorf("the moment up to which tokens are revoked is at most %s in the future", maxAhead)
	case e.Expires.After(now.Add(maxAhead + MaxTokenLife)):
		return fmt.Errorf("no token lives longer than %s", MaxTokenLife)
	}
	return nil
}

func isName(text string) bool {
	return len(text) <= maxNameSize && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 })
}

// over reports whether no token that expires then is taken anywhere any more.
func over(expires int64, now time.Time) bool {
	return !now.Before(time.Unix(expires, 0).Add(Grace))
}
