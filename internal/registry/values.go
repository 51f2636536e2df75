package registry

import (
	"bytes"
	"encoding/json"
	"time"
)

// MaxTokenTTL is the greatest token_ttl of a client.
const MaxTokenTTL = 24 * time.Hour

func (d *decoder) text(n *node, what string) string {
	if !d.is(n, stringKind, what) {
		return ""
	}
	d.notSecret(n, what)
	return n.text
}

// notSecret returns whether a text contains no secret. If it does, notSecret adds a problem, because policies and logs can
// see what an entry says. A text that is already in the stored entry is not a problem, so that the entry can be changed.
func (d *decoder) notSecret(n *node, what string) bool {
	if !containsSecret(n.text) || d.stored != nil && d.stored.holdsText(n.text) {
		return true
	}
	d.problems.add(n.at, "a secret stands in %s: %s", what, d.howToSecret())
	return false
}

// holdsText reports whether a string of the client equals the text.
func (c *Client) holdsText(text string) bool {
	entry, entryErr := json.Marshal(c)
	word, wordErr := json.Marshal(text)
	return entryErr == nil && wordErr == nil && bytes.Contains(entry, word)
}

func (d *decoder) bool(n *node, what string) bool {
	return d.is(n, boolKind, what) && n.text == "true"
}

// tokenTTL accepts whole seconds, because that is the unit of expires_in (RFC 6749 §5.1).
func (d *decoder) tokenTTL(n *node) time.Duration {
	ttl, err := time.ParseDuration(n.text)
	switch {
	case n.kind != stringKind || err != nil:
		d.problems.add(n.at, `token_ttl must be a duration such as "5m"`)
	case ttl <= 0 || ttl > MaxTokenTTL:
		d.problems.add(n.at, "token_ttl must be more than 0 and at most %gh", MaxTokenTTL.Hours())
	case ttl%time.Second != 0:
		d.problems.add(n.at, "token_ttl must be whole seconds")
	}
	return ttl
}

// time refuses the zero time, which would mean "never" or "unknown", and times whose year in UTC is outside of RFC 3339,
// which JSON cannot hold.
func (d *decoder) time(n *node, what string) time.Time {
	t, err := time.Parse(time.RFC3339, n.text)
	t = t.UTC()
	if n.kind != stringKind || err != nil || t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		d.problems.add(n.at, "%s must be a time as in RFC 3339, such as 2027-01-31T00:00:00Z", what)
		return time.Time{}
	}
	return t
}
