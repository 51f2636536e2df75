// Package revocation records which tokens of an issuer are revoked before they expire. A Store keeps them in a storage
// that several nodes share, and in memory as a Set, which is all that a request reads. A Copy keeps those of an issuer
// elsewhere, from its Feed. Start with NewStore and NewCopy. The package imports only the plain leaves of this module.
//
// An entry names a token by its jti, because the text of a token can be spelled in several ways, or it names all tokens
// that a client was issued up to a moment. A revocation is never undone. A node knows the union of what all nodes have
// written, so nodes need no lock to write and no order to read in. An entry is removed once no token that it names can
// be valid, or once an entry of a client revokes all that it revokes.
package revocation

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxTokenLife is the longest lifetime of a token.
	MaxTokenLife = 24 * time.Hour
	// Grace is how much longer than its tokens an entry is kept: doors allow for clock skew and accept a token for some
	// minutes after it has expired.
	Grace = 10 * time.Minute
	// maxAhead is how far in the future Entry.Before may lie, for issuers whose clocks are ahead.
	maxAhead = 5 * time.Minute
	// maxNameSize bounds a jti and a client_id, in bytes.
	maxNameSize = 1 << 10
)

// Entry is one revocation: of the token ID, or of the tokens that ClientID was issued up to Before.
type Entry struct {
	// ID is the jti of the token, or "" if the entry revokes a client's tokens.
	ID string
	// ClientID is the client whose tokens are revoked, or "" if the entry revokes one token.
	ClientID string
	// Before is the moment up to which a client's tokens are revoked, in whole seconds like iat. A token issued in the
	// same second is revoked, too.
	Before time.Time
	// Expires is when the last of the revoked tokens expires, in whole seconds.
	Expires time.Time
	// Owner is the client that was issued the token, and Issued its iat, in whole seconds. They are zero if they are not known,
	// and in an entry of a client. With them, an entry of the client can take the place of this one.
	Owner  string
	Issued time.Time
}

// OfToken returns an entry that revokes one token. The token expires at expires.
func OfToken(id string, expires time.Time) Entry { return Entry{ID: id, Expires: ceil(expires)} }

// OfClientToken returns an entry that revokes one token of a known client.
func OfClientToken(id, owner string, issued, expires time.Time) Entry {
	e := OfToken(id, expires)
	e.Owner, e.Issued = owner, ceil(issued)
	return e
}

// OfClient returns an entry that revokes all tokens that a client was issued up to before.
func OfClient(id string, before time.Time) Entry {
	before = before.Truncate(time.Second).UTC()
	return Entry{ClientID: id, Before: before, Expires: before.Add(MaxTokenLife)}
}

// ceil rounds t up to a whole second.
func ceil(t time.Time) time.Time {
	whole := t.Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return whole.UTC()
}

// Check returns an error if the entry is not valid.
func (e Entry) Check(now time.Time) error {
	switch {
	case e.ID != "" && e.ClientID != "" || e.ID == "" && e.ClientID == "":
		return errors.New("either a jti or a client is needed")
	case !isName(e.ID + e.ClientID):
		return fmt.Errorf("a jti or a client is longer than %d bytes, or has control characters or what is not UTF-8", maxNameSize)
	case !isName(e.Owner) || e.Owner != "" && (e.ID == "" || e.Issued.Unix() <= 0):
		return errors.New("only a token with the moment of its issue has an owner")
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

// over reports whether no door accepts a token that expires at expires any more.
func over(expires int64, now time.Time) bool {
	return !now.Before(time.Unix(expires, 0).Add(Grace))
}
