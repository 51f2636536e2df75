package token

import "strings"

// Bounds of a token, in bytes. 8 KiB is what servers commonly allow for all headers together.
const (
	// MaxTokenSize is the largest token that is read.
	MaxTokenSize = 8 << 10
	// maxHeaderSize bounds the decoded header.
	maxHeaderSize = 1 << 10
)

// compact is a token whose form was checked and whose header was read. Nothing in it is verified.
type compact struct {
	header header
	// input is the signed text: header and payload with a dot between them (RFC 7515 §5.2).
	input              string
	payload, signature string
}

// openCompact splits a token of at most limit bytes and reads its header.
func openCompact(raw string, limit int, rules headerRules) (c compact, err error) {
	if len(raw) > limit {
		return c, refuse(Malformed, "larger than a token may be")
	}
	head, rest, _ := strings.Cut(raw, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if head == "" || payload == "" || signature == "" {
		return c, refuse(Malformed, "not three parts")
	}
	if !isBase64URL(head) || !isBase64URL(payload) || !isBase64URL(signature) {
		return c, refuse(Malformed, "a character that no token has")
	}
	decoded, err := decodeBase64(head)
	if err != nil {
		return c, refuse(Malformed, "header is not canonical base64url")
	}
	c.header, err = parseHeader(decoded, rules)
	c.input, c.payload, c.signature = raw[:len(head)+1+len(payload)], payload, signature
	return c, err
}

// verify finds the key, checks the signature and returns the payload with the thumbprint of the key. The algorithms are those that
// are accepted, or nil for those of the keys.
func (c compact) verify(keys *KeySet, algs []Alg) (payload []byte, keyID string, err error) {
	alg := c.header.alg()
	candidates, err := keys.candidates(string(c.header.Kid), alg, algs)
	if err != nil {
		return nil, "", err
	}
	signature, err := decodeBase64(c.signature)
	if err != nil {
		return nil, "", refuse(Malformed, "signature is not canonical base64url")
	}
	for _, key := range candidates {
		if err = key.check(alg, []byte(c.input), signature); err == nil {
			payload, err = c.claims()
			return payload, key.print, err
		}
	}
	return nil, "", err
}

// claims returns the bytes of the payload, which may not be verified.
func (c compact) claims() ([]byte, error) {
	payload, err := decodeBase64(c.payload)
	if err != nil {
		return nil, refuse(Malformed, "payload is not canonical base64url")
	}
	return payload, nil
}

// KeyID checks the form of a token and returns its kid, so that the key can be fetched. The kid is not verified. Errors are
// those of Verify.
func KeyID(raw string) (kid string, err error) {
	return StatementKeyID(raw, MaxTokenSize)
}

// issuer returns iss, so that the issuer can be chosen before its keys are looked up. The iss is not verified. Choosing by it
// is safe because Verify requires the iss that it expects, and because both read the payload in the same way.
func (c compact) issuer() (string, error) {
	data, err := c.claims()
	if err != nil {
		return "", err
	}
	all, err := parsePayload(data)
	if err != nil {
		return "", err
	}
	r := claimReader{all: all}
	issuer := r.text("iss")
	return issuer, r.err
}
