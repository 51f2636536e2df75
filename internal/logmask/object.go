package logmask

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
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
	return m.members("", object), m.masked
}

func (m *masker) value(pointer string, value any) any {
	switch value := value.(type) {
	case nil, bool, float64, json.Number:
		return value
	case string:
		return m.text(pointer, value)
	case map[string]any:
		return m.members(pointer, value)
	case []any:
		shown := make([]any, len(value))
		for i := range value {
			shown[i] = m.value(pointer+"/"+strconv.Itoa(i), value[i])
		}
		return shown
	}
	return m.other(pointer, value)
}

func (m *masker) text(pointer, text string) string {
	shown := credential.Mask(text)
	if shown != text {
		m.masked = append(m.masked, pointer)
	}
	return shown
}

// members returns a copy of an object in which values, names and the private members of a JWK (RFC 7517 §4.1) are
// masked.
func (m *masker) members(pointer string, object map[string]any) map[string]any {
	_, isKey := object["kty"]
	masked := make(map[string]any, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		shown := credential.Mask(name)
		at := pointer + "/" + escapePointer.Replace(shown)
		if shown != name {
			m.masked = append(m.masked, at)
		}
		if isKey && credential.IsPrivateMember(name) && object[name] != credential.Secret {
			m.masked = append(m.masked, at)
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
func (m *masker) other(pointer string, value any) any {
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
	return m.value(pointer, plain)
}

// mayHoldCredential reports whether JSON text may hold a credential or a JWK.
func mayHoldCredential(text []byte) bool {
	return bytes.Contains(text, []byte(`"kty"`)) || credential.Contains(string(text))
}
