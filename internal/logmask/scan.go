package logmask

import (
	"encoding/json"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// Scan returns an upper bound of the bytes of fields in JSON, close to their real size, and whether Fields would mask
// something in them. It must be cheap, because it runs for each line.
func Scan(fields ...zap.Field) (size int, found bool) {
	s := scanners.Get().(*scanner)
	defer scanners.Put(s)
	*s = scanner{}
	for i := range fields {
		fields[i].AddTo(s)
	}
	return s.size, s.found
}

// scanners are reused. They hold a count, and nothing of what they have seen.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

// ScanObject is Scan for the members of an object.
func ScanObject(object zapcore.ObjectMarshaler) (size int, found bool) {
	s := new(scanner)
	_ = object.MarshalLogObject(s) // a scanner returns no error
	return s.size, s.found
}

// Scanned is an object that remembers what ScanObject returns for it, because it is logged many times.
type Scanned interface{ Scanned() (size int, found bool) }

// Checked is an object that knows whether it holds a credential, because it was scanned before it is written.
type Checked interface{ HasCredential() bool }

// HasCredential reports whether Fields would mask something in the fields.
func HasCredential(fields ...zap.Field) bool {
	for i := range fields {
		if hasCredential(&fields[i]) {
			return true
		}
	}
	return false
}

// hasCredential is Scan for a field of any line, most of which hold no text.
func hasCredential(field *zap.Field) bool {
	switch field.Type {
	case zapcore.StringType:
		return credential.Contains(field.String) || credential.Contains(field.Key)
	case zapcore.BoolType, zapcore.DurationType, zapcore.Float64Type, zapcore.Int64Type, zapcore.TimeType, zapcore.SkipType:
		return false
	}
	if checked, ok := field.Interface.(Checked); ok {
		return checked.HasCredential()
	}
	s := new(scanner)
	field.AddTo(s)
	return s.found
}

// scanner is an encoder that writes nothing. It counts bytes, and looks for credentials in texts and names.
type scanner struct {
	size  int
	found bool
}

// otherSize is enough for a number or a boolean with its comma.
const otherSize = 26

func (s *scanner) text(text string) {
	s.found = s.found || credential.Contains(text)
	s.size += textSize(text) + len(`"",`)
}

// name also finds a JWK, whose private members cannot be recognized by their values.
func (s *scanner) name(name string) {
	s.found = s.found || name == "kty"
	s.text(name)
	s.size += len(":")
}

// other takes the name of a value that holds no text.
func (s *scanner) other(name string) {
	s.name(name)
	s.size += otherSize
}

func (s *scanner) reflected(value any) {
	s.size += Size(value) + len(",")
	switch value := value.(type) {
	case nil, bool, float64, json.Number:
	case string:
		s.found = s.found || credential.Contains(value)
	default:
		text, err := appendJSON(nil, value)
		s.found = s.found || err == nil && mayHoldCredential(text)
	}
}

func (s *scanner) AddString(name, value string) {
	s.name(name)
	s.text(value)
}

func (s *scanner) AddByteString(name string, value []byte) { s.AddString(name, string(value)) }

func (s *scanner) AddReflected(name string, value any) error {
	s.name(name)
	s.reflected(value)
	return nil
}

func (s *scanner) AddArray(name string, array zapcore.ArrayMarshaler) error {
	s.name(name)
	return s.AppendArray(array)
}

func (s *scanner) AddObject(name string, object zapcore.ObjectMarshaler) error {
	s.name(name)
	return s.AppendObject(object)
}

func (s *scanner) AppendString(value string)     { s.text(value) }
func (s *scanner) AppendByteString(value []byte) { s.text(string(value)) }

func (s *scanner) AppendArray(array zapcore.ArrayMarshaler) error {
	s.size += len("[],")
	return array.MarshalLogArray(s)
}

func (s *scanner) AppendObject(object zapcore.ObjectMarshaler) error {
	s.size += len("{},")
	if scanned, ok := object.(Scanned); ok {
		size, found := scanned.Scanned()
		s.size += size
		s.found = s.found || found
		return nil
	}
	return object.MarshalLogObject(s)
}

func (s *scanner) AppendReflected(value any) error {
	s.reflected(value)
	return nil
}

func (s *scanner) OpenNamespace(name string)                { s.other(name) }
func (s *scanner) AddBinary(name string, _ []byte)          { s.other(name) }
func (s *scanner) AddBool(name string, _ bool)              { s.other(name) }
func (s *scanner) AddComplex128(name string, _ complex128)  { s.other(name) }
func (s *scanner) AddComplex64(name string, _ complex64)    { s.other(name) }
func (s *scanner) AddDuration(name string, _ time.Duration) { s.other(name) }
func (s *scanner) AddFloat64(name string, _ float64)        { s.other(name) }
func (s *scanner) AddFloat32(name string, _ float32)        { s.other(name) }
func (s *scanner) AddInt(name string, _ int)                { s.other(name) }
func (s *scanner) AddInt64(name string, _ int64)            { s.other(name) }
func (s *scanner) AddInt32(name string, _ int32)            { s.other(name) }
func (s *scanner) AddInt16(name string, _ int16)            { s.other(name) }
func (s *scanner) AddInt8(name string, _ int8)              { s.other(name) }
func (s *scanner) AddTime(name string, _ time.Time)         { s.other(name) }
func (s *scanner) AddUint(name string, _ uint)              { s.other(name) }
func (s *scanner) AddUint64(name string, _ uint64)          { s.other(name) }
func (s *scanner) AddUint32(name string, _ uint32)          { s.other(name) }
func (s *scanner) AddUint16(name string, _ uint16)          { s.other(name) }
func (s *scanner) AddUint8(name string, _ uint8)            { s.other(name) }
func (s *scanner) AddUintptr(name string, _ uintptr)        { s.other(name) }

func (s *scanner) AppendBool(bool)              { s.size += len("false,") }
func (s *scanner) AppendComplex128(complex128)  { s.size += otherSize }
func (s *scanner) AppendComplex64(complex64)    { s.size += otherSize }
func (s *scanner) AppendDuration(time.Duration) { s.size += otherSize }
func (s *scanner) AppendFloat64(float64)        { s.size += otherSize }
func (s *scanner) AppendFloat32(float32)        { s.size += otherSize }
func (s *scanner) AppendInt(int)                { s.size += otherSize }
func (s *scanner) AppendInt64(int64)            { s.size += otherSize }
func (s *scanner) AppendInt32(int32)            { s.size += otherSize }
func (s *scanner) AppendInt16(int16)            { s.size += otherSize }
func (s *scanner) AppendInt8(int8)              { s.size += otherSize }
func (s *scanner) AppendTime(time.Time)         { s.size += otherSize }
func (s *scanner) AppendUint(uint)              { s.size += otherSize }
func (s *scanner) AppendUint64(uint64)          { s.size += otherSize }
func (s *scanner) AppendUint32(uint32)          { s.size += otherSize }
func (s *scanner) AppendUint16(uint16)          { s.size += otherSize }
func (s *scanner) AppendUint8(uint8)            { s.size += otherSize }
func (s *scanner) AppendUintptr(uintptr)        { s.size += otherSize }
