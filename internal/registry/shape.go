package registry

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// shape is which fields a mapping of the file has, and how each is read into a T.
type shape[T any] struct {
	what     string // as it stands in messages: "a client"
	fields   map[string]func(*decoder, *node, *T)
	required []string
}

// read reads a mapping's fields. What it cannot read it reports and leaves out.
func (s *shape[T]) read(d *decoder, n *node, into *T) {
	found := make([]string, 0, 8)
	for name, value := range d.members(n, s.what) {
		read, known := s.fields[name.text]
		if !known {
			d.unknownField(name, s.what, d.shownFields(maps.Keys(s.fields)))
			continue
		}
		found = append(found, name.text)
		read(d, value, into)
	}
	if n.kind != mappingKind {
		return
	}
	for _, name := range s.required {
		if !slices.Contains(found, name) {
			d.problems.add(n.at, "%s must have %s", s.what, name)
		}
	}
}

// plainSecretFields are names, without "_" and "-", under which people write a secret itself.
var plainSecretFields = []string{
	"secret", "clientsecret", "secretkey", "value", "password", "passwd", "plain", "plaintext",
}

// UnknownField is the message about a field that an entry has not: with the one that was meant, or those
// there are. It does not repeat what may be a secret.
func UnknownField(name, what string, known ...string) string {
	d := newDecoder("")
	d.unknownField(&node{text: name}, what, slices.Values(known))
	return d.problems.first[0].Msg
}

// ClientFields and ResourceFields are the fields of an entry that is not of a file: a client's secrets are
// made, and not given.
func ClientFields() []string {
	return slices.Collect(newDecoder("").shownFields(maps.Keys(clientShape.fields)))
}

// ResourceFields are those of a resource.
func ResourceFields() []string { return slices.Collect(maps.Keys(resourceShape.fields)) }

// shownFields are those that a message may propose. A client's secrets stand in files alone: elsewhere
// they have routes of their own.
func (d *decoder) shownFields(fields iter.Seq[string]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for field := range fields {
			if (field != "secrets" || d.problems.file != "") && !yield(field) {
				return
			}
		}
	}
}

func (d *decoder) unknownField(name *node, what string, known iter.Seq[string]) {
	plain := strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name.text))
	switch {
	case slices.Contains(plainSecretFields, plain):
		d.problems.add(name.at, "unknown field %q in %s: %s", name.text, what, d.howToSecret())
	case isWord(name.text):
		d.problems.add(name.at, "unknown field %q in %s%v", name.text, what, hint{name.text, known})
	default:
		d.problems.add(name.at, "unknown field in %s%v", what, hint{"", known})
	}
}

// isWord reports whether a name looks like a field's, and not like a secret in its place.
func isWord(name string) bool {
	return len(name) <= 32 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz_-.") == ""
}
