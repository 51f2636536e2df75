package token

import (
	stdjson "encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// claimsHint is the size of the usual claims without their texts.
const claimsHint = 128

// encode encodes claims that check has passed. It writes them without reflection, because each token needs that.
// TestMintEncoding compares with what the JSON library writes for a struct.
func (m Mint) encode() ([]byte, error) {
	issued := m.IssuedAt.Unix()
	e := claimsEncoder{data: make([]byte, 0, claimsHint+m.textSize())}
	e.text(`{"iss":`, m.Issuer)
	e.text(`,"sub":`, m.Subject)
	e.text(`,"client_id":`, m.ClientID)
	e.audience(m.Audience)
	e.number(`,"exp":`, issued+int64(m.TTL/time.Second))
	e.number(`,"iat":`, issued)
	e.text(`,"jti":`, m.ID)
	if m.Scope != "" {
		e.text(`,"scope":`, m.Scope)
	}
	e.confirmation(m.Confirmation)
	if len(m.Actor) > 0 {
		e.data = append(e.data, ',')
		e.member("act", m.Actor, 1)
	}
	for _, name := range sortedNames(m.Extra) {
		e.data = append(e.data, ',')
		e.member(name, m.Extra[name], 1)
	}
	e.data = append(e.data, '}')
	return e.data, e.err
}

func (m Mint) textSize() int {
	size := len(m.Confirmation.JKT) + len(m.Confirmation.X5TS256) + len(m.Issuer) + len(m.Subject) + len(m.ClientID) + len(m.ID) + len(m.Scope)
	for _, aud := range m.Audience {
		size += len(aud)
	}
	return size
}

// claimsEncoder appends JSON to data. It keeps the first error in err. What it appends after an error is meaningless.
type claimsEncoder struct {
	data []byte
	err  error
}

func (e *claimsEncoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// text appends a text behind what precedes it. A text that is not UTF-8 is an error.
func (e *claimsEncoder) text(before, text string) {
	data, err := jsontext.AppendQuote(append(e.data, before...), text)
	if err != nil {
		e.fail(err)
	}
	e.data = data
}

func (e *claimsEncoder) number(before string, n int64) {
	e.data = strconv.AppendInt(append(e.data, before...), n, 10)
}

// audience appends a string if there is one audience, else an array (RFC 7519 §4.1.3).
func (e *claimsEncoder) audience(audience []string) {
	if len(audience) == 1 {
		e.text(`,"aud":`, audience[0])
		return
	}
	before := `,"aud":[`
	for _, aud := range audience {
		e.text(before, aud)
		before = ","
	}
	e.data = append(e.data, ']')
}

// confirmation appends cnf, unless it is zero.
func (e *claimsEncoder) confirmation(c Confirmation) {
	if c == (Confirmation{}) {
		return
	}
	before := `,"cnf":{`
	if c.JKT != "" {
		e.text(before+`"jkt":`, c.JKT)
		before = ","
	}
	if c.X5TS256 != "" {
		e.text(before+`"x5t#S256":`, c.X5TS256)
	}
	e.data = append(e.data, '}')
}

func (e *claimsEncoder) member(name string, value any, depth int) {
	e.text("", name)
	e.data = append(e.data, ':')
	e.value(value, depth)
}

// value appends a value of the types that Mint.Extra names. The JSON library encodes what is rare: other
// numbers than integers, and other types.
func (e *claimsEncoder) value(value any, depth int) {
	if depth > maxDepth {
		e.other(value) // fails for what contains itself; checkReadable refuses the rest
		return
	}
	switch value := value.(type) {
	case nil:
		e.data = append(e.data, "null"...)
	case bool:
		e.data = strconv.AppendBool(e.data, value)
	case string:
		e.text("", value)
	case stdjson.Number:
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && strconv.FormatInt(n, 10) == string(value) {
			e.data = append(e.data, value...)
			return
		}
		e.other(value)
	case []any:
		e.data = append(e.data, '[')
		for i, element := range value {
			if i > 0 {
				e.data = append(e.data, ',')
			}
			e.value(element, depth+1)
		}
		e.data = append(e.data, ']')
	case map[string]any:
		e.data = append(e.data, '{')
		for i, name := range sortedNames(value) {
			if i > 0 {
				e.data = append(e.data, ',')
			}
			e.member(name, value[name], depth+1)
		}
		e.data = append(e.data, '}')
	default:
		e.other(value)
	}
}

func (e *claimsEncoder) other(value any) {
	data, err := json.Marshal(value, mintOptions)
	if err != nil {
		e.fail(err)
	}
	e.data = append(e.data, data...)
}

func sortedNames(object map[string]any) []string {
	if len(object) == 0 {
		return nil
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// mintOptions sort extra claims and write a json.Number as a number.
var mintOptions = json.JoinOptions(
	json.Deterministic(true),
	json.WithMarshalers(json.MarshalToFunc(func(enc *jsontext.Encoder, n stdjson.Number) error {
		return enc.WriteValue(jsontext.Value(n))
	})),
)
