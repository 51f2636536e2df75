package token

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// AccessTokenType is the typ of an access token (RFC 9068 §2.1).
const AccessTokenType = "at+jwt"

// maxTypeSize bounds typ, in bytes.
const maxTypeSize = 64

// header holds the members of a JOSE header. A kid of "" is a missing one.
type header struct {
	Alg    text              `json:"alg"`
	Kid    text              `json:"kid"`
	Typ    text              `json:"typ"`
	Others map[string]offset `json:",embed"`

	size int
}

// readHeader is a header that was read, with its text in a token. Tokens of one key usually have the same.
type readHeader struct {
	text   string
	header header
}

// maxKept bounds the text of a readHeader that is kept.
const maxKept = 1 << 10

// of returns the header of this text, if it is that one.
func (h *readHeader) of(text string) (header, bool) {
	if h == nil || h.text != text {
		return header{}, false
	}
	return h.header, true
}

// headerRules say what a header may have beyond the headers of this program's own tokens.
type headerRules struct {
	ignored []string // of ignorable, the parameters that are ignored
	noKid   bool     // the kid may be missing
	ownKey  bool     // jwk is there, and is the key
}

// ignorable are the parameters that can be ignored instead of refused: they only say where the key could be found. They
// are never read.
var ignorable = []string{"jku", "x5u", "x5c"}

// maxSize returns the bound of a header. A certificate chain takes some KiB.
func (r headerRules) maxSize() int {
	switch {
	case slices.Contains(r.ignored, "x5c"):
		return MaxTokenSize
	case r.ownKey:
		return maxProofHeaderSize
	}
	return maxHeaderSize
}

// takes reports whether a parameter of refusedParams may be there.
func (r headerRules) takes(param string) bool {
	return r.ownKey && param == "jwk" || slices.Contains(r.ignored, param)
}

// alg returns the algorithm that the header names.
func (h header) alg() Alg { return algNamed(string(h.Alg)) }

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
// key; headerRules can let some of them be ignored, and lets the key of a DPoP proof be in jwk. zip, enc and the next ones belong to encrypted tokens. cty says that the payload is not a claims set but, for
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
func parseHeader(data []byte, rules headerRules) (header, error) {
	var h header
	if len(data) > rules.maxSize() {
		return h, refuse(Malformed, "header is larger than a header may be")
	}
	if err := json.Unmarshal(data, &h); err != nil || jsontext.Value(data).Kind() != jsontext.KindBeginObject {
		return h, refuse(Malformed, "header is not one JSON object with members of the right type")
	}
	h.size = len(data)
	return h, h.check(rules)
}

func (h header) check(rules headerRules) error {
	switch refused := h.refused(rules); {
	case h.size > rules.maxSize():
		return refuse(Malformed, "header is larger than a header may be")
	case refused != "":
		return refuse(Unsupported, "header has "+refused)
	case h.Alg == "":
		return refuse(Malformed, "header has no alg")
	case algorithms[h.alg()] == algorithm{}:
		return refuse(WrongAlgorithm, "alg is none, symmetric or unknown")
	case h.Kid == "" && !rules.noKid:
		return refuse(UnknownKey, "header has no kid")
	case len(h.Kid) > MaxKeyIDSize:
		return refuse(Malformed, "kid is longer than a kid may be")
	case len(h.Typ) > maxTypeSize:
		return refuse(Malformed, "typ is longer than a type may be")
	}
	return nil
}

// refused returns the last member that may not be in a header, or "" if there is none.
func (h header) refused(rules headerRules) (name string) {
	last := offset(-1)
	for other, end := range h.Others {
		if refusedParams[other] && end > last && !rules.takes(other) {
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
