// Package logmask keeps credentials out of logs: Logger returns a logger that masks tokens, secrets and the private
// members of keys in everything that it writes. The package may import zap and internal/credential.
package logmask

import (
	"maps"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// Key is the name of the field that lists what was masked in a log line, as JSON pointers (RFC 6901). In the decision
// log the field also lists what a policy masked.
const Key = "masked"

// Logger returns a logger that masks credentials in everything that it writes. All loggers of the plugin come from it.
func Logger(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return maskingCore{core} }))
}

// maskingCore masks credentials in the lines that the core below it writes.
type maskingCore struct{ zapcore.Core }

// With masks the fields of a logger.
func (c maskingCore) With(fields []zap.Field) zapcore.Core {
	return maskingCore{c.Core.With(Fields(fields))}
}

// Check lets the core below decide. It may sample lines or select them by name.
func (c maskingCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	below := c.Core.Check(entry, nil)
	if below == nil {
		return checked
	}
	return checked.AddCore(entry, maskingEntry{c.Core, below})
}

// maskingEntry is one line that the cores below have agreed to write.
type maskingEntry struct {
	zapcore.Core
	below *zapcore.CheckedEntry
}

// Write writes the line with masks. The entry has its caller and stack, which it lacks in Check.
func (e maskingEntry) Write(entry zapcore.Entry, fields []zap.Field) error {
	entry.Message = credential.Mask(entry.Message)
	e.below.Entry = entry
	e.below.Write(Fields(fields)...)
	return nil
}

// Fields returns the fields with credentials masked, and adds the field Key. It returns the same slice if they hold no
// credential, which is the usual case.
func Fields(fields []zap.Field) []zap.Field {
	if !HasCredential(fields...) && maskedFields(fields) < 2 {
		return fields
	}
	m := new(masker)
	shown := make([]zap.Field, 0, len(fields)+1)
	for _, field := range fields {
		if field.Key != Key && !hasCredential(&field) {
			shown = append(shown, field)
			continue
		}
		shown = append(shown, m.field(field)...)
	}
	return append(shown, zap.Strings(Key, m.masked))
}

// maskedFields counts the fields named Key. A line may have one of them.
func maskedFields(fields []zap.Field) (n int) {
	for i := range fields {
		if fields[i].Key == Key {
			n++
		}
	}
	return n
}

// field returns what replaces a field: several fields if it is inlined. Pointers in a field named Key are added to those
// of the masker.
func (m *masker) field(field zap.Field) []zap.Field {
	values := zapcore.NewMapObjectEncoder()
	field.AddTo(values)
	m.addPointers(values.Fields[Key])
	delete(values.Fields, Key)
	members := m.members(nil, values.Fields)
	var fields []zap.Field
	for _, name := range slices.Sorted(maps.Keys(members)) {
		fields = append(fields, zap.Any(name, members[name]))
	}
	return fields
}

// addPointers adds the pointers of earlier masks.
func (m *masker) addPointers(masked any) {
	pointers, _ := masked.([]any)
	for _, pointer := range pointers {
		if text, ok := pointer.(string); ok {
			m.masked = append(m.masked, text)
		}
	}
}
