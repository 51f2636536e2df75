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

// header holds the members of a JOSE header that are looked at.
type header struct {
	alg      Alg
	kid, typ string
	// refused is a member that may not be there.
	refused string
}

// refusedParams may not be in a header. crit and b64 change what a token means; jwk, jku, x5c and
// x5u bring the sender's own key; zip, enc and what follows belong to encrypted tokens; cty says
// that the payload is not claims but, for instance, another token (RFC 7519 §5.2). All other
// parameters that are not known are ignored (RFC 7515 §4), among them the thumbprints x5t and
// x5t#S256: they merely name a key once more, and kid alone chooses.
var refusedParams = map[string]bool{
	"crit": true, "b64": true,
	"jwk": true, "jku": true, "x5c": true, "x5u": true,
	"zip": true, "enc": true, "epk": true, "apu": true, "apv": true, "iv": true, "tag": true, "p2s": true, "p2c": true,
	"cty": true,
}

var errHeader = errors.New("not a JOSE header")

// parseHeader reads one JSON object without repeated members. It does not yet know which key and
// type are wanted.
func parseHeader(data []byte) (header, error) {
	var h header
	if len(data) > maxHeaderSize {
		return h, refuse(Malformed, "header is larger than a header may be")
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, refuse(Malformed, "header is not one JSON object with members of the right type")
	}
	return h, h.check()
}

func (h header) check() error {
	switch {
	case h.refused != "":
		return refuse(Unsupported, "header has "+h.refused)
	case h.alg == "":
		return refuse(Malformed, "header has no alg")
	case algorithms[h.alg] == algorithm{}:
		return refuse(WrongAlgorithm, "alg is none, symmetric or unknown")
	case h.kid == "":
		return refuse(UnknownKey, "header has no kid")
	case len(h.kid) > MaxKeyIDSize:
		return refuse(Malformed, "kid is longer than a kid may be")
	case len(h.typ) > maxTypeSize:
		return refuse(Malformed, "typ is longer than a type may be")
	}
	return nil
}

// UnmarshalJSONFrom reads the header member by member; the decoder refuses repeated ones.
func (h *header) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return errHeader
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := h.readMember(dec, name.String()); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func (h *header) readMember(dec *jsontext.Decoder, name string) (err error) {
	switch name {
	case "alg":
		var alg string
		alg, err = readString(dec)
		h.alg = Alg(alg)
	case "kid":
		h.kid, err = readString(dec)
	case "typ":
		h.typ, err = readString(dec)
	default:
		if refusedParams[name] {
			h.refused = name
		}
		err = dec.SkipValue()
	}
	return err
}

func readString(dec *jsontext.Decoder) (string, error) {
	if dec.PeekKind() != '"' {
		return "", errHeader
	}
	value, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	return value.String(), nil
}

// sameType compares values of typ: letters of either case are the same, and so are a type with
// "application/" before it and the same without, if no other "/" is in it (RFC 7515 §4.1.9).
func sameType(a, b string) bool { return a != "" && canonicalType(a) == canonicalType(b) }

func canonicalType(typ string) string {
	typ = strings.ToLower(typ)
	if short, ok := strings.CutPrefix(typ, "application/"); ok && !strings.Contains(short, "/") {
		return short
	}
	return typ
}
