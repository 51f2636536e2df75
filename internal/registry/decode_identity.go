package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxIdentities is the greatest number of identities of a client.
	MaxIdentities = 100
	// maxIdentityClaims is the greatest number of claims that an identity requires.
	maxIdentityClaims = 20
	// fixedSegments is how many segments a pattern must begin with that are neither empty nor "*".
	fixedSegments = 2
)

var identitySchema = schema[Identity]{
	what: "an identity",
	fields: map[string]func(*decoder, *node, *Identity){
		"issuer":  func(d *decoder, n *node, i *Identity) { i.Issuer = d.identityIssuer(n) },
		"subject": func(d *decoder, n *node, i *Identity) { i.Subject = d.subject(n, "subject", checkSubject) },
		"subject_pattern": func(d *decoder, n *node, i *Identity) {
			i.SubjectPattern = d.subject(n, "subject_pattern", checkPattern)
		},
		"type":   func(d *decoder, n *node, i *Identity) { i.Type = d.identityType(n) },
		"claims": func(d *decoder, n *node, i *Identity) { i.Claims = d.identityClaims(n) },
	},
	required: []string{"issuer"},
}

func (d *decoder) identities(n *node, c *Client) []Identity {
	identities := make([]Identity, 0, min(len(n.children), MaxIdentities))
	for item := range d.items(n, "identities") {
		if len(identities) == MaxIdentities {
			d.problems.add(item.at, "a client may have %d identities at most", MaxIdentities)
			break
		}
		i, before := Identity{Type: TypeJWT}, d.problems.total
		identitySchema.read(d, item, &i)
		if item.kind != mappingKind || d.problems.total > before {
			continue
		}
		if err := i.check(); err != nil {
			d.problems.add(item.at, "an identity: %v", err)
			continue
		}
		if slices.ContainsFunc(identities, i.equal) {
			d.problems.add(item.at, "duplicate identity of a client")
		}
		identities = append(identities, i)
		d.owned = append(d.owned, Owned{c, i, item.at})
	}
	d.notEmpty(n, "identities")
	return identities
}

func (i Identity) equal(other Identity) bool {
	return i.Issuer == other.Issuer && i.subject() == other.subject() && i.kind() == other.kind() && same(i.Claims, other.Claims)
}

// check checks what several fields say together.
func (i Identity) check() error {
	switch {
	case i.Subject == "" && i.SubjectPattern == "":
		return errors.New("it must have subject or subject_pattern")
	case i.Subject != "" && i.SubjectPattern != "":
		return errors.New("it may have subject or subject_pattern, not both")
	case i.Type == TypeSPIFFE:
		return checkSPIFFE(i.subject())
	}
	return nil
}

func (d *decoder) identityIssuer(n *node) string { return d.httpsURL(n, "issuer") }

func (d *decoder) identityType(n *node) string {
	text, types := d.text(n, "type"), []string{TypeJWT, TypeSPIFFE}
	if n.kind == stringKind && !slices.Contains(types, text) {
		d.problems.add(n.at, "type of an identity must be %s", strings.Join(types, " or "))
	}
	return text
}

func (d *decoder) identityClaims(n *node) map[string]any {
	if !d.is(n, mappingKind, "claims") {
		return nil
	}
	claims, _ := d.value(n, "claims", 1).(map[string]any)
	if len(claims) > maxIdentityClaims {
		d.problems.add(n.at, "an identity may require %d claims at most", maxIdentityClaims)
	}
	if len(claims) == 0 {
		return nil
	}
	return claims
}

func (d *decoder) subject(n *node, what string, check func(string) error) string {
	text := d.text(n, what)
	if n.kind != stringKind {
		return ""
	}
	if err := check(text); err != nil {
		d.problems.add(n.at, "%s: %v", what, err)
	}
	return text
}

// checkSubject returns an error if a text is not valid as an exact subject. It does not repeat the text.
func checkSubject(text string) error {
	if strings.Contains(text, wildcard) {
		return errors.New(`"*" is for subject_pattern: a subject is exact`)
	}
	return checkSubjectText(text)
}

func checkSubjectText(text string) error {
	switch {
	case text == "":
		return errors.New("empty")
	case len(text) > MaxSubject:
		return fmt.Errorf("longer than %d bytes", MaxSubject)
	case !utf8.ValidString(text):
		return errors.New("not UTF-8")
	}
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return fmt.Errorf("character 0x%02x is not allowed", r)
		}
	}
	return nil
}

// checkPattern returns an error if a text is not valid as a pattern of subjects. The rules are:
//
//   - ":" and "/" separate segments. A "*" is a whole segment. It stands for one segment that is not empty or, at the end,
//     for the rest of the subject.
//   - The pattern begins with two segments that are neither empty nor "*". A pattern such as repo:* would be about every
//     repository of GitHub.
//   - At least one segment is "*".
func checkPattern(text string) error {
	if err := checkSubjectText(text); err != nil {
		return err
	}
	if !strings.Contains(text, wildcard) {
		return errors.New(`without "*" it stands for one subject: use subject`)
	}
	fixed, wild := 0, false
	for rest := text; ; {
		segment, after := cutSegment(rest)
		switch {
		case segment == wildcard:
			wild = true
		case strings.Contains(segment, wildcard):
			return errors.New(`"*" must be a whole segment, between ":" or "/"`)
		case segment != "" && !wild:
			fixed++
		}
		if wild && fixed < fixedSegments {
			return errors.New(`before the first "*" it must have two segments, as in repo:example/*`)
		}
		if after == "" {
			return nil
		}
		rest = after[1:]
	}
}

const maxTrustDomain = 255

// checkSPIFFE returns an error if a text is not a SPIFFE ID, or a pattern of such, with a workload's path.
func checkSPIFFE(text string) error {
	wrong := errors.New("the subject must be a SPIFFE ID with a path, such as spiffe://example.org/books")
	rest, ok := strings.CutPrefix(text, "spiffe://")
	domain, path, hasPath := strings.Cut(rest, "/")
	if !ok || !hasPath || domain == "" || len(domain) > maxTrustDomain || strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
		return wrong
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.IndexFunc(segment, isNotSPIFFE) >= 0 {
			return wrong
		}
	}
	return nil
}

// isNotSPIFFE reports whether a SPIFFE ID cannot have a character in its path. Patterns have "*".
func isNotSPIFFE(r rune) bool {
	isLetter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !isLetter && !strings.ContainsRune("-._"+wildcard, r)
}

// checkIdentities reports identities of two clients that one assertion may have. It returns the index of all.
func (d *decoder) checkIdentities() *identityIndex {
	if len(d.owned) == 0 {
		return nil
	}
	index := newIdentityIndex()
	for _, o := range d.owned {
		index.add(o)
	}
	reported := make(map[[2]*Client]bool)
	for _, o := range d.owned {
		other, found := index.conflict(o)
		if !found || reported[[2]*Client{o.Client, other.Client}] {
			continue
		}
		reported[[2]*Client{o.Client, other.Client}], reported[[2]*Client{other.Client, o.Client}] = true, true
		first, second := other, o
		if first.at.after(second.at) {
			first, second = second, first
		}
		d.problems.add(second.at, "%v", &ConflictError{ClientID: first.Client.ID, line: int(first.at.line)})
	}
	return index
}
