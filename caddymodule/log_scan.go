package caddymodule

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// fieldHasCredential reports whether a masker may find something in a field. It must be cheap, because it runs for each
// field of each line.
func fieldHasCredential(field *zap.Field) bool {
	switch field.Type {
	case zapcore.StringType:
		return credential.Contains(field.String) || credential.Contains(field.Key)
	case zapcore.BoolType, zapcore.DurationType, zapcore.Float64Type, zapcore.Int64Type, zapcore.TimeType, zapcore.SkipType:
		return false
	}
	s := new(scanner)
	field.AddTo(s)
	return s.found
}

// scanner is an encoder that writes nothing. It looks for credentials in texts and names.
type scanner struct{ found bool }

func (s *scanner) look(text string) { s.found = s.found || credential.Contains(text) }

// name also finds a JWK: its private members cannot be told by their values.
func (s *scanner) name(name string) {
	s.found = s.found || name == "kty"
	s.look(name)
}

func (s *scanner) reflected(value any) {
	switch value := value.(type) {
	case nil, bool, float64, json.Number:
	case string:
		s.look(value)
	default:
		text, err := json.Marshal(value)
		s.found = s.found || err == nil && mayHoldCredential(text)
	}
}

func (s *scanner) AddString(name, value string) {
	s.name(name)
	s.look(value)
}

func (s *scanner) AddByteString(name string, value []byte) {
	s.name(name)
	s.look(string(value))
}

func (s *scanner) AddReflected(name string, value any) error {
	s.name(name)
	s.reflected(value)
	return nil
}

func (s *scanner) AddArray(name string, array zapcore.ArrayMarshaler) error {
	s.name(name)
	return array.MarshalLogArray(s)
}

func (s *scanner) AddObject(name string, object zapcore.ObjectMarshaler) error {
	s.name(name)
	return object.MarshalLogObject(s)
}

func (s *scanner) AppendString(value string)                      { s.look(value) }
func (s *scanner) AppendByteString(value []byte)                  { s.look(string(value)) }
func (s *scanner) AppendArray(array zapcore.ArrayMarshaler) error { return array.MarshalLogArray(s) }
func (s *scanner) AppendObject(object zapcore.ObjectMarshaler) error {
	return object.MarshalLogObject(s)
}

func (s *scanner) AppendReflected(value any) error {
	s.reflected(value)
	return nil
}

// The other values hold no text; their names do.

func (s *scanner) OpenNamespace(name string)                { s.name(name) }
func (s *scanner) AddBinary(name string, _ []byte)          { s.name(name) }
func (s *scanner) AddBool(name string, _ bool)              { s.name(name) }
func (s *scanner) AddComplex128(name string, _ complex128)  { s.name(name) }
func (s *scanner) AddComplex64(name string, _ complex64)    { s.name(name) }
func (s *scanner) AddDuration(name string, _ time.Duration) { s.name(name) }
func (s *scanner) AddFloat64(name string, _ float64)        { s.name(name) }
func (s *scanner) AddFloat32(name string, _ float32)        { s.name(name) }
func (s *scanner) AddInt(name string, _ int)                { s.name(name) }
func (s *scanner) AddInt64(name string, _ int64)            { s.name(name) }
func (s *scanner) AddInt32(name string, _ int32)            { s.name(name) }
func (s *scanner) AddInt16(name string, _ int16)            { s.name(name) }
func (s *scanner) AddInt8(name string, _ int8)              { s.name(name) }
func (s *scanner) AddTime(name string, _ time.Time)         { s.name(name) }
func (s *scanner) AddUint(name string, _ uint)              { s.name(name) }
func (s *scanner) AddUint64(name string, _ uint64)          { s.name(name) }
func (s *scanner) AddUint32(name string, _ uint32)          { s.name(name) }
func (s *scanner) AddUint16(name string, _ uint16)          { s.name(name) }
func (s *scanner) AddUint8(name string, _ uint8)            { s.name(name) }
func (s *scanner) AddUintptr(name string, _ uintptr)        { s.name(name) }

func (s *scanner) AppendBool(bool)              {}
func (s *scanner) AppendComplex128(complex128)  {}
func (s *scanner) AppendComplex64(complex64)    {}
func (s *scanner) AppendDuration(time.Duration) {}
func (s *scanner) AppendFloat64(float64)        {}
func (s *scanner) AppendFloat32(float32)        {}
func (s *scanner) AppendInt(int)                {}
func (s *scanner) AppendInt64(int64)            {}
func (s *scanner) AppendInt32(int32)            {}
func (s *scanner) AppendInt16(int16)            {}
func (s *scanner) AppendInt8(int8)              {}
func (s *scanner) AppendTime(time.Time)         {}
func (s *scanner) AppendUint(uint)              {}
func (s *scanner) AppendUint64(uint64)          {}
func (s *scanner) AppendUint32(uint32)          {}
func (s *scanner) AppendUint16(uint16)          {}
func (s *scanner) AppendUint8(uint8)            {}
func (s *scanner) AppendUintptr(uintptr)        {}

var (
	_ zapcore.ObjectEncoder = (*scanner)(nil)
	_ zapcore.ArrayEncoder  = (*scanner)(nil)
)
