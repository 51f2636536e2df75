package registry

import (
	"context"
	"slices"
	"strings"
)

// MaxSubject is the greatest number of bytes of a subject. A SPIFFE ID has at most that many.
const MaxSubject = 2048

// identityIndex finds identities by the subjects that they cover. A pattern is found by the part before its first "*", which
// ends with a separator.
type identityIndex struct {
	exact    map[subjectOf][]Owned
	patterns map[subjectOf][]Owned
}

// subjectOf is a subject of an issuer, or the beginning of one.
type subjectOf struct{ issuer, text string }

// Owned is an identity with its client.
type Owned struct {
	Client   *Client
	Identity Identity

	at position // in the file
}

func newIdentityIndex() *identityIndex {
	return &identityIndex{make(map[subjectOf][]Owned), make(map[subjectOf][]Owned)}
}

func (x *identityIndex) add(o Owned) {
	i := o.Identity
	if i.SubjectPattern == "" {
		x.exact[subjectOf{i.Issuer, i.Subject}] = append(x.exact[subjectOf{i.Issuer, i.Subject}], o)
		return
	}
	key := subjectOf{i.Issuer, fixedPart(i.SubjectPattern)}
	x.patterns[key] = append(x.patterns[key], o)
}

// candidates calls yield with the identities that may cover the subject, or overlap the pattern that has this fixed part. Of
// these it finds those whose fixed part is not longer.
func (x *identityIndex) candidates(issuer, text string, yield func(Owned)) {
	for _, o := range x.exact[subjectOf{issuer, text}] {
		yield(o)
	}
	for i := range len(text) {
		if strings.IndexByte(separators, text[i]) < 0 {
			continue
		}
		for _, o := range x.patterns[subjectOf{issuer, text[:i+1]}] {
			yield(o)
		}
	}
}

// clientsFor returns the clients that have an identity which covers the subject.
func (x *identityIndex) clientsFor(issuer, subject string) (clients []*Client) {
	if x == nil || subject == "" || len(subject) > MaxSubject {
		return nil
	}
	seen := make(map[*Client]bool)
	x.candidates(issuer, subject, func(o Owned) {
		if !seen[o.Client] && o.Identity.Covers(issuer, subject) {
			seen[o.Client] = true
			clients = append(clients, o.Client)
		}
	})
	return clients
}

// conflict returns an identity of another client that conflicts with this one, if the other's fixed part is not longer.
func (x *identityIndex) conflict(o Owned) (other Owned, found bool) {
	x.candidates(o.Identity.Issuer, fixedPart(o.Identity.subject()), func(earlier Owned) {
		if !found && earlier.Client.ID != o.Client.ID && earlier.Identity.conflicts(o.Identity) {
			other, found = earlier, true
		}
	})
	return other, found
}

// holders returns the ids of the clients that have an identity which conflicts with this one.
func (x *identityIndex) holders(i Identity) (ids []string) {
	if x == nil {
		return nil
	}
	add := func(o Owned) {
		if o.Identity.conflicts(i) && !slices.Contains(ids, o.Client.ID) {
			ids = append(ids, o.Client.ID)
		}
	}
	x.candidates(i.Issuer, fixedPart(i.subject()), add)
	if i.SubjectPattern == "" {
		return ids
	}
	for _, of := range []map[subjectOf][]Owned{x.exact, x.patterns} {
		for key, owned := range of {
			if key.issuer == i.Issuer && strings.HasPrefix(key.text, fixedPart(i.SubjectPattern)) {
				for _, o := range owned {
					add(o)
				}
			}
		}
	}
	return ids
}

// CheckIdentities returns a *ConflictError if a client of the base, except some, has an identity that conflicts with one which
// the change of a client adds. Either client may be nil.
func (b Base) CheckIdentities(ctx context.Context, before, after *Client, except map[string]*Client) error {
	if after == nil {
		return nil
	}
	for _, i := range after.Identities {
		if before != nil && slices.ContainsFunc(before.Identities, i.equal) {
			continue
		}
		ids, err := b.Holders(ctx, i)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, excepted := except[id]; excepted || id == after.ID {
				continue
			}
			other, err := b.Client(ctx, id)
			if err != nil {
				return err
			}
			if other != nil && slices.ContainsFunc(other.Identities, i.conflicts) {
				return &ConflictError{ClientID: id}
			}
		}
	}
	return nil
}

// Overlap reports whether a subject exists that both texts stand for. Each is a subject or a pattern of subjects.
func Overlap(a, b string) bool { return overlap(a, b) }

// Bucket returns the beginning of a subject or a pattern up to its second segment, or "" if the text is shorter. What
// overlaps a pattern has the pattern's bucket.
func Bucket(text string) string {
	segments := 0
	for rest := text; ; {
		segment, after := cutSegment(rest)
		if after == "" {
			return ""
		}
		rest = after[1:]
		if segment != "" {
			segments++
		}
		if segments == fixedSegments {
			return text[:len(text)-len(rest)]
		}
	}
}
