package decisionlog

import (
	"encoding/json"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
)

// meter counts the bytes of fields in JSON without writing them: most lines are short and need no cut.
// The scanner in it takes the types of values that decisions do not have. They count as nothing.
type meter struct {
	logmask.Scanner
	size int
}

// sizeOf returns an upper bound of the bytes of these fields in JSON, close to their real size.
func sizeOf(fields ...zap.Field) int {
	m := new(meter)
	for _, field := range fields {
		field.AddTo(m)
	}
	return m.size
}

// member counts a name with its quotes, colon and comma.
func (m *meter) member(name string) { m.size += textSize(name) + 4 }

// AddString and the methods below are those that decisions use.
func (m *meter) AddString(name, text string) {
	m.member(name)
	m.AppendString(text)
}

func (m *meter) AddBool(name string, value bool) {
	m.member(name)
	m.AppendBool(value)
}

func (m *meter) AddInt64(name string, _ int64) {
	m.member(name)
	m.size += 20
}

func (m *meter) AddReflected(name string, value any) error {
	m.member(name)
	return m.AppendReflected(value)
}

func (m *meter) AddObject(name string, object zapcore.ObjectMarshaler) error {
	m.member(name)
	return m.AppendObject(object)
}

func (m *meter) AddArray(name string, array zapcore.ArrayMarshaler) error {
	m.member(name)
	return m.AppendArray(array)
}

func (m *meter) AppendString(text string) { m.size += textSize(text) + 3 }

func (m *meter) AppendBool(bool) { m.size += 6 }

func (m *meter) AppendReflected(value any) error {
	m.size += 1 + valueSize(value)
	return nil
}

func (m *meter) AppendObject(object zapcore.ObjectMarshaler) error {
	m.size += 3
	return object.MarshalLogObject(m)
}

func (m *meter) AppendArray(array zapcore.ArrayMarshaler) error {
	m.size += 3
	return array.MarshalLogArray(m)
}

// valueSize returns an upper bound of the bytes of a value in JSON, close to its real size.
func valueSize(value any) int {
	size := 2
	switch value := value.(type) {
	case string:
		return size + textSize(value)
	case json.Number:
		return len(value)
	case bool, nil:
		return len("false")
	case map[string]any:
		for name, member := range value {
			size += textSize(name) + 4 + valueSize(member)
		}
	case []any:
		for _, element := range value {
			size += 1 + valueSize(element)
		}
	default:
		text, _ := json.Marshal(value)
		size += len(text)
	}
	return size
}

// textSize returns an upper bound of the bytes of a text in JSON, without its quotes.
func textSize(text string) int {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			return len(text) + escapes(text[i:])
		}
	}
	return len(text)
}

// escapes returns by how many bytes escapes make a text longer.
func escapes(text string) (more int) {
	for i, r := range text {
		switch {
		case r < ' ':
			more += len(`\u0000`) - 1
		case r == '"' || r == '\\':
			more++
		case r == utf8.RuneError || r == '\u2028' || r == '\u2029':
			_, width := utf8.DecodeRuneInString(text[i:])
			more += len(`\ufffd`) - width
		}
	}
	return more
}
