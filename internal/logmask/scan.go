package logmask

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// HasCredential reports whether a masker may find something in a field. It must be cheap, because it runs for each
// field of each line.
func HasCredential(field *zap.Field) bool {
	switch field.Type {
	case zapcore.StringType:
		return credential.Contains(field.String) || credential.Contains(field.Key)
	case zapcore.BoolType, zapcore.DurationType, zapcore.Float64Type, zapcore.Int64Type, zapcore.TimeType, zapcore.SkipType:
		return false
	}
	s := new(Scanner)
	field.AddTo(s)
	return s.found
}

// Scanner is an encoder that writes nothing. It looks for credentials in texts and names.
type Scanner struct{ found bool }

func (s *Scanner) look(text string) { s.found = s.found || credential.Contains(text) }

// name also finds a JWK: its private members cannot be told by their values.
func (s *Scanner) name(name string) {
	s.found = s.found || name == "kty"
	s.look(name)
}

func (s *Scanner) reflected(value any) {
	switch value := value.(type) {
	case nil, bool, float64, json.Number:
	case string:
		s.look(value)
	default:
		text, err := json.Marshal(value)
		s.found = s.found || err == nil && mayHoldCredential(text)
	}
}

func (s *Scanner) AddString(name, value string) {
	s.name(name)
	s.look(value)
}

func (s *Scanner) AddByteString(name string, value []byte) {
	s.name(name)
	s.look(string(value))
}

func (s *Scanner) AddReflected(name string, value any) error {
	s.name(name)
	s.reflected(value)
	return nil
}

func (s *Scanner) AddArray(name string, array zapcore.ArrayMarshaler) error {
	s.name(name)
	return array.MarshalLogArray(s)
}

func (s *Scanner) AddObject(name string, object zapcore.ObjectMarshaler) error {
	s.name(name)
	return object.MarshalLogObject(s)
}

func (s *Scanner) AppendString(value string)                      { s.look(value) }
func (s *Scanner) AppendByteString(value []byte)                  { s.look(string(value)) }
func (s *Scanner) AppendArray(array zapcore.ArrayMarshaler) error { return array.MarshalLogArray(s) }
func (s *Scanner) AppendObject(object zapcore.ObjectMarshaler) error {
	return object.MarshalLogObject(s)
}

func (s *Scanner) AppendReflected(value any) error {
	s.reflected(value)
	return nil
}

// The other values hold no text; their names do.

func (s *Scanner) OpenNamespace(name string)                { s.name(name) }
func (s *Scanner) AddBinary(name string, _ []byte)          { s.name(name) }
func (s *Scanner) AddBool(name string, _ bool)              { s.name(name) }
func (s *Scanner) AddComplex128(name string, _ complex128)  { s.name(name) }
func (s *Scanner) AddComplex64(name string, _ complex64)    { s.name(name) }
func (s *Scanner) AddDuration(name string, _ time.Duration) { s.name(name) }
func (s *Scanner) AddFloat64(name string, _ float64)        { s.name(name) }
func (s *Scanner) AddFloat32(name string, _ float32)        { s.name(name) }
func (s *Scanner) AddInt(name string, _ int)                { s.name(name) }
func (s *Scanner) AddInt64(name string, _ int64)            { s.name(name) }
func (s *Scanner) AddInt32(name string, _ int32)            { s.name(name) }
func (s *Scanner) AddInt16(name string, _ int16)            { s.name(name) }
func (s *Scanner) AddInt8(name string, _ int8)              { s.name(name) }
func (s *Scanner) AddTime(name string, _ time.Time)         { s.name(name) }
func (s *Scanner) AddUint(name string, _ uint)              { s.name(name) }
func (s *Scanner) AddUint64(name string, _ uint64)          { s.name(name) }
func (s *Scanner) AddUint32(name string, _ uint32)          { s.name(name) }
func (s *Scanner) AddUint16(name string, _ uint16)          { s.name(name) }
func (s *Scanner) AddUint8(name string, _ uint8)            { s.name(name) }
func (s *Scanner) AddUintptr(name string, _ uintptr)        { s.name(name) }

func (s *Scanner) AppendBool(bool)              {}
func (s *Scanner) AppendComplex128(complex128)  {}
func (s *Scanner) AppendComplex64(complex64)    {}
func (s *Scanner) AppendDuration(time.Duration) {}
func (s *Scanner) AppendFloat64(float64)        {}
func (s *Scanner) AppendFloat32(float32)        {}
func (s *Scanner) AppendInt(int)                {}
func (s *Scanner) AppendInt64(int64)            {}
func (s *Scanner) AppendInt32(int32)            {}
func (s *Scanner) AppendInt16(int16)            {}
func (s *Scanner) AppendInt8(int8)              {}
func (s *Scanner) AppendTime(time.Time)         {}
func (s *Scanner) AppendUint(uint)              {}
func (s *Scanner) AppendUint64(uint64)          {}
func (s *Scanner) AppendUint32(uint32)          {}
func (s *Scanner) AppendUint16(uint16)          {}
func (s *Scanner) AppendUint8(uint8)            {}
func (s *Scanner) AppendUintptr(uintptr)        {}

var (
	_ zapcore.ObjectEncoder = (*Scanner)(nil)
	_ zapcore.ArrayEncoder  = (*Scanner)(nil)
)
