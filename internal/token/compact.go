package token

import (
	"slices"
	"strings"
)

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
	head   string // the text of the header
	// input is the signed text: header and payload with a dot between them (RFC 7515 §5.2).
	input              string
	payload, signature string
	// checks are results of its signature that are known already.
	checks []check
	all    payload // nil until parsed has read it
	// read are the claims as they were read before, if any, and reading is how.
	read    *Claims
	reading reading
}

// check is the result of the check of a signature with a key. It depends on nothing but the token's text and the key, which
// its thumbprint tells apart from all others: the text names the algorithm.
type check struct {
	print string
	err   error // nil if the signature is that of the key
}

// openCompact splits a token of at most limit bytes and reads its header, unless that is the known one.
func openCompact(raw string, limit int, rules headerRules, known *readHeader) (c compact, err error) {
	if len(raw) > limit {
		return c, refuse(Malformed, "larger than a token may be")
	}
	head, payload, signature := split(raw)
	if head == "" || payload == "" || signature == "" {
		return c, refuse(Malformed, "not three parts")
	}
	if !isBase64URL(head) || !isBase64URL(payload) || !isBase64URL(signature) {
		return c, refuse(Malformed, "a character that no token has")
	}
	c.header, err = openHeader(head, rules, known)
	c.head, c.input, c.payload, c.signature = head, raw[:len(head)+1+len(payload)], payload, signature
	return c, err
}

// openHeader reads and checks a header.
func openHeader(head string, rules headerRules, known *readHeader) (header, error) {
	if h, ok := known.of(head); ok {
		return h, h.check(rules)
	}
	decoded, err := decodeBase64(head)
	if err != nil {
		return header{}, refuse(Malformed, "header is not canonical base64url")
	}
	return parseHeader(decoded, rules)
}

// split returns the parts of a token.
func split(raw string) (head, payload, signature string) {
	head, rest, _ := strings.Cut(raw, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	return head, payload, signature
}

// signedBy finds the key, checks the signature and returns the thumbprint of the key. The algorithms are those that are
// accepted, or nil for those of the keys. Afterwards c.checks are the results of these keys, and learned reports whether one
// of them is new.
func (c *compact) signedBy(keys *KeySet, algs []Alg) (keyID string, learned bool, err error) {
	var room [maxCandidates]*publicKey
	candidates, err := keys.candidates(string(c.header.Kid), c.header.alg(), algs, room[:0])
	if err != nil {
		return "", false, err
	}
	var known [maxCandidates]check
	checks := known[:0]
	for _, key := range candidates {
		result, found := c.checked(key)
		if !found {
			learned = true
			if result.err, err = c.check(key); err != nil {
				return "", false, err
			}
		}
		checks = append(checks, result)
		if err = result.err; err == nil {
			keyID = key.print
			break
		}
	}
	if learned {
		c.checks = slices.Clone(checks)
	}
	return keyID, learned, err
}

// checked returns the result of an earlier check of the signature with a key.
func (c *compact) checked(key *publicKey) (check, bool) {
	for _, known := range c.checks {
		if known.print == key.print {
			return known, true
		}
	}
	return check{print: key.print}, false
}

// check checks the signature with a key, which takes the algorithm of the token. It fails if there is no signature to check.
func (c *compact) check(key *publicKey) (result, err error) {
	signature, err := decodeBase64(c.signature)
	if err != nil {
		return nil, refuse(Malformed, "signature is not canonical base64url")
	}
	return key.check(c.header.alg(), []byte(c.input), signature), nil
}

// claims returns the bytes of the payload, which may not be verified.
func (c *compact) claims() ([]byte, error) {
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

// parsed returns the claims set, which may not be verified.
func (c *compact) parsed() (payload, error) {
	if c.all == nil {
		data, err := c.claims()
		if err != nil {
			return nil, err
		}
		if c.all, err = parsePayload(data); err != nil {
			return nil, err
		}
	}
	return c.all, nil
}

// issuer returns iss, so that the issuer can be chosen before its keys are looked up. The iss is not verified. Choosing by it
// is safe because Verify requires the iss that it expects, and because both read the payload in the same way.
func (c *compact) issuer() (string, error) {
	all, err := c.parsed()
	if err != nil {
		return "", err
	}
	r := claimReader{all: all}
	issuer := r.text("iss")
	return issuer, r.err
}
