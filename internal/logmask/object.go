package logmask

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// masker masks credentials in values, and collects JSON pointers (RFC 6901) to what it masked.
type masker struct{ masked []string }

// Object returns a copy of an object with credentials masked, and the pointers to what it masked. It does not
// change the object, which may be in use.
func Object(object map[string]any) (copied map[string]any, pointers []string) {
	m := new(masker)
	return m.members(nil, object), m.masked
}

// place is where a value is: a member or an element of what is at the place above. The top is nil. A list of places is made
// into a pointer only where something is masked.
type place struct {
	above *place
	name  string // of a member, masked
	index int    // of an element, -1 for a member
}

func (p *place) pointer() string {
	switch {
	case p == nil:
		return ""
	case p.index < 0:
		return p.above.pointer() + "/" + escapePointer.Replace(p.name)
	}
	return p.above.pointer() + "/" + strconv.Itoa(p.index)
}

func (m *masker) value(at *place, value any) any {
	switch value := value.(type) {
	case nil, bool, float64, json.Number:
		return value
	case string:
		return m.text(at, value)
	case map[string]any:
		return m.members(at, value)
	case []any:
		shown := make([]any, len(value))
		for i := range value {
			shown[i] = m.value(&place{above: at, index: i}, value[i])
		}
		return shown
	}
	return m.other(at, value)
}

func (m *masker) text(at *place, text string) string {
	shown := credential.Mask(text)
	if shown != text {
		m.masked = append(m.masked, at.pointer())
	}
	return shown
}

// members returns a copy of an object in which values, names and the private members of a JWK (RFC 7517 §4.1) are
// masked.
func (m *masker) members(above *place, object map[string]any) map[string]any {
	_, isKey := object["kty"]
	masked := make(map[string]any, len(object))
	var room names
	for _, name := range sortedNames(room[:0], object) {
		shown := credential.Mask(name)
		at := &place{above: above, name: shown, index: -1}
		if shown != name {
			m.masked = append(m.masked, at.pointer())
		}
		if isKey && credential.IsPrivateMember(name) && object[name] != credential.Secret {
			m.masked = append(m.masked, at.pointer())
			masked[shown] = credential.Secret
			continue
		}
		masked[shown] = m.value(at, object[name])
	}
	return masked
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// other masks a value of another type in a copy. It returns the value itself if there is nothing to mask, so that
// numbers and times keep their types.
func (m *masker) other(at *place, value any) any {
	text, err := json.Marshal(value)
	if err != nil || !mayHoldCredential(text) {
		return value
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		return value
	}
	return m.value(at, plain)
}

// mayHoldCredential reports whether JSON text may hold a credential or a JWK.
func mayHoldCredential(text []byte) bool {
	return bytes.Contains(text, []byte(`"kty"`)) || credential.Contains(string(text))
}
