package registry

import (
	"bytes"
	"encoding/json"
	"time"
)

// MaxTokenTTL is the longest lifetime that a client may ask for its tokens.
const MaxTokenTTL = 24 * time.Hour

func (d *decoder) text(n *node, what string) string {
	if !d.is(n, stringKind, what) {
		return ""
	}
	d.notSecret(n, what)
	return n.text
}

// notSecret reports whether a text holds none of NewSecret's, and reports it to the user when it does:
// what an entry says can be seen by policies and in logs. One that stands in the stored entry already
// keeps nobody from changing that.
func (d *decoder) notSecret(n *node, what string) bool {
	if !containsSecret(n.text) || d.stored != nil && d.stored.holdsText(n.text) {
		return true
	}
	d.problems.add(n.at, "a secret stands in %s: %s", what, d.howToSecret())
	return false
}

// holdsText reports whether a text stands somewhere in the client, whole.
func (c *Client) holdsText(text string) bool {
	entry, entryErr := json.Marshal(c)
	word, wordErr := json.Marshal(text)
	return entryErr == nil && wordErr == nil && bytes.Contains(entry, word)
}

func (d *decoder) bool(n *node, what string) bool {
	return d.is(n, boolKind, what) && n.text == "true"
}

// tokenTTL takes whole seconds, for that is the unit of expires_in (RFC 6749 §5.1).
func (d *decoder) tokenTTL(n *node) time.Duration {
	if n.kind != stringKind {
		d.problems.add(n.at, `token_ttl must be a duration such as "5m"`)
		return 0
	}
	ttl, err := time.ParseDuration(n.text)
	switch {
	case err != nil:
		d.problems.add(n.at, `token_ttl must be a duration such as "5m"`)
	case ttl <= 0 || ttl > MaxTokenTTL:
		d.problems.add(n.at, "token_ttl must be more than 0 and at most %gh", MaxTokenTTL.Hours())
	case ttl%time.Second != 0:
		d.problems.add(n.at, "token_ttl must be whole seconds")
	}
	return ttl
}

// time refuses the zero time, which to a registry is "never" or "unknown" and the contrary of what
// was written, and times that leave the years of RFC 3339 once they are in UTC: no JSON can hold them.
func (d *decoder) time(n *node, what string) time.Time {
	t, err := time.Parse(time.RFC3339, n.text)
	t = t.UTC()
	if n.kind != stringKind || err != nil || t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		d.problems.add(n.at, "%s must be a time as in RFC 3339, such as 2027-01-31T00:00:00Z", what)
		return time.Time{}
	}
	return t
}
