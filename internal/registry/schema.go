package registry

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// schema is the fields of a mapping in the file, and how each is read into a T.
type schema[T any] struct {
	what     string // for messages: "a client"
	fields   map[string]func(*decoder, *node, *T)
	required []string
}

// read reads the fields of a mapping. It reports a field that it cannot read and leaves it out.
func (s *schema[T]) read(d *decoder, n *node, into *T) {
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

// plainSecretFields are field names, without "_" and "-", that people use for a secret itself.
var plainSecretFields = []string{
	"secret", "clientsecret", "secretkey", "value", "password", "passwd", "plain", "plaintext",
}

// UnknownField returns the message about an unknown field, which ends with the field that was meant or the known ones. It
// does not repeat what may be a secret.
func UnknownField(name, what string, known ...string) string {
	d := newDecoder("")
	d.unknownField(&node{text: name}, what, slices.Values(known))
	return d.problems.first[0].Msg
}

// ClientFields returns the fields of a client that is not in a file. They do not include secrets, which are created by
// other means.
func ClientFields() []string {
	return slices.Collect(newDecoder("").shownFields(maps.Keys(clientSchema.fields)))
}

// ResourceFields returns the fields of a resource.
func ResourceFields() []string { return slices.Collect(maps.Keys(resourceSchema.fields)) }

// shownFields returns the fields that a message may suggest. Only files have a field for secrets; the admin API has routes
// for them.
func (d *decoder) shownFields(fields iter.Seq[string]) iter.Seq[string] {
	hidden := func(field string) bool { return field == "secrets" && d.problems.file == "" }
	return slices.Values(slices.DeleteFunc(slices.Collect(fields), hidden))
}

func (d *decoder) unknownField(name *node, what string, known iter.Seq[string]) {
	plain := strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name.text))
	switch {
	case slices.Contains(plainSecretFields, plain):
		d.problems.add(name.at, "unknown field %q in %s: %s", name.text, what, d.howToSecret())
	case isWord(name.text):
		d.problems.add(name.at, "unknown field %q in %s%v", name.text, what, suggestion{name.text, known})
	default:
		d.problems.add(name.at, "unknown field in %s%v", what, suggestion{"", known})
	}
}

// isWord reports whether a name looks like the name of a field, and not like a secret in the wrong place.
func isWord(name string) bool {
	return len(name) <= 32 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz_-.") == ""
}
