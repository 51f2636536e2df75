package token

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// AccessTokenType is the typ of an access token (RFC 9068 §2.1).
const AccessTokenType = "at+jwt"

// maxTypeSize bounds typ, in bytes.
const maxTypeSize = 64

// header holds the members of a JOSE header.
type header struct {
	Alg    text              `json:"alg"`
	Kid    text              `json:"kid"`
	Typ    text              `json:"typ"`
	Others map[string]offset `json:",embed"`
}

// text is a JSON string. It refuses null, which json.Unmarshal takes for an empty string.
type text string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (t *text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if value.Kind() != jsontext.KindString {
		return errHeader
	}
	*t = text(value.String())
	return nil
}

// offset is where a JSON value ends. The value is checked, but not kept.
type offset int64

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (o *offset) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	err := dec.SkipValue()
	*o = offset(dec.InputOffset())
	return err
}

// refusedParams may not be in a header. crit and b64 change what a token means. jwk, jku, x5c and x5u bring the sender's own
// key. zip, enc and the next ones belong to encrypted tokens. cty says that the payload is not a claims set but, for
// instance, another token (RFC 7519 §5.2). All other unknown parameters are ignored (RFC 7515 §4), such as the thumbprints
// x5t and x5t#S256: only kid chooses the key.
var refusedParams = map[string]bool{
	"crit": true, "b64": true,
	"jwk": true, "jku": true, "x5c": true, "x5u": true,
	"zip": true, "enc": true, "epk": true, "apu": true, "apv": true, "iv": true, "tag": true, "p2s": true, "p2c": true,
	"cty": true,
}

var errHeader = errors.New("not a JOSE header")

// parseHeader reads one JSON object without repeated members. It does not compare the key and the type with those expected.
func parseHeader(data []byte) (header, error) {
	var h header
	if len(data) > maxHeaderSize {
		return h, refuse(Malformed, "header is larger than a header may be")
	}
	if err := json.Unmarshal(data, &h); err != nil || jsontext.Value(data).Kind() != jsontext.KindBeginObject {
		return h, refuse(Malformed, "header is not one JSON object with members of the right type")
	}
	return h, h.check()
}

func (h header) check() error {
	switch refused := h.refused(); {
	case refused != "":
		return refuse(Unsupported, "header has "+refused)
	case h.Alg == "":
		return refuse(Malformed, "header has no alg")
	case algorithms[Alg(h.Alg)] == algorithm{}:
		return refuse(WrongAlgorithm, "alg is none, symmetric or unknown")
	case h.Kid == "":
		return refuse(UnknownKey, "header has no kid")
	case len(h.Kid) > MaxKeyIDSize:
		return refuse(Malformed, "kid is longer than a kid may be")
	case len(h.Typ) > maxTypeSize:
		return refuse(Malformed, "typ is longer than a type may be")
	}
	return nil
}

// refused returns the last member that may not be in a header, or "" if there is none.
func (h header) refused() (name string) {
	last := offset(-1)
	for other, end := range h.Others {
		if refusedParams[other] && end > last {
			name, last = other, end
		}
	}
	return name
}

// sameType compares values of typ without regard to case, and to a leading "application/" if the rest has no other "/" (RFC
// 7515 §4.1.9).
func sameType(a, b string) bool { return a != "" && canonicalType(a) == canonicalType(b) }

func canonicalType(typ string) string {
	typ = strings.ToLower(typ)
	if short, ok := strings.CutPrefix(typ, "application/"); ok && !strings.Contains(short, "/") {
		return short
	}
	return typ
}
