package token

import "strings"

// Unverified is the content of a token that was not verified. It is for people who inspect a token.
type Unverified struct {
	// Header is the JOSE header (RFC 7515 §4).
	Header map[string]any `json:"header"`
	// Claims is the claims set (RFC 7519 §4), as Claims.All has it.
	Claims map[string]any `json:"claims"`
}

// Decode splits a token without verifying it. It fails with Malformed unless the token has three parts and the first two are
// JSON objects in base64url.
func Decode(raw string) (*Unverified, error) {
	parts := strings.Split(raw, ".")
	if len(raw) > MaxTokenSize || len(parts) != 3 {
		return nil, refuse(Malformed, "not three parts")
	}
	header, err := decodePart(parts[0])
	if err != nil {
		return nil, err
	}
	claims, err := decodePart(parts[1])
	if err != nil {
		return nil, err
	}
	return &Unverified{Header: header, Claims: claims}, nil
}

func decodePart(part string) (payload, error) {
	decoded, err := decodeBase64(part)
	if err != nil {
		return nil, refuse(Malformed, "a part is not canonical base64url")
	}
	object, err := parsePayload(decoded)
	if err != nil {
		return nil, refuse(Malformed, "a part is not one JSON object")
	}
	return object, nil
}

// Issuer returns the iss claim, or "" if there is none.
func (u *Unverified) Issuer() string {
	issuer, _ := u.Claims["iss"].(string)
	return issuer
}

// Audience returns the aud claim, which is a string or a list of strings (RFC 7519 §4.1.3).
func (u *Unverified) Audience() []string {
	switch aud := u.Claims["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		var all []string
		for _, one := range aud {
			if name, ok := one.(string); ok {
				all = append(all, name)
			}
		}
		return all
	}
	return nil
}
