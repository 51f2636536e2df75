package token

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// ProofType is the typ of a DPoP proof (RFC 9449 §4.2).
	ProofType = "dpop+jwt"
	// MaxProofSize is the largest DPoP proof that is read, in bytes. A usual one has 500.
	MaxProofSize = 4 << 10
	// maxProofHeaderSize bounds the decoded header, which holds a public key. An RSA key of 8192 bits takes 1.5 KiB.
	maxProofHeaderSize = 2 << 10
)

// Proof is a DPoP proof (RFC 9449 §4.2): a JWT that its sender has signed with the key that stands in its header. OpenProof
// reads it. Nothing in it is verified before Verify has accepted it.
type Proof struct {
	// ID is jti, Method is htm, and URL is htu. None is empty.
	ID, Method, URL string
	// IssuedAt is iat.
	IssuedAt time.Time
	// TokenHash is ath, the hash of the access token beside the proof. Nonce is nonce. They are "" if they are missing.
	TokenHash, Nonce string

	c     compact
	key   *publicKey
	known bool // whether the key was known before
}

// proofRules are those of the header of a proof: the key is in jwk, and the kid, if there is one, says nothing.
var proofRules = headerRules{noKid: true, ownKey: true}

// OpenProof reads a proof of at most MaxProofSize bytes, and its claims. The typ must be ProofType, alg an asymmetric
// algorithm, and jwk one public key of that algorithm. If the proof is malformed, the error is an *Error.
func OpenProof(raw string) (*Proof, error) { return openProof(raw, nil) }

// openProof takes what is known of the header, nil if nothing is.
func openProof(raw string, known *readProof) (*Proof, error) {
	var header *readHeader
	if known != nil {
		header = &known.readHeader
	}
	c, err := openCompact(raw, MaxProofSize, proofRules, header)
	if err != nil {
		return nil, err
	}
	if !sameType(string(c.header.Typ), ProofType) {
		return nil, refuse(WrongType, "typ is not "+ProofType)
	}
	p := &Proof{c: c, known: known != nil}
	if p.known {
		p.key = known.key
	} else if p.key, err = c.ownKey(); err != nil {
		return nil, err
	}
	return p, p.read()
}

// ownKey returns the key in the header. Only a key in the canonical encoding is taken, so that all agree on its thumbprint.
func (c *compact) ownKey() (*publicKey, error) {
	decoded, err := decodeBase64(c.head)
	if err != nil {
		return nil, refuse(Malformed, "header is not canonical base64url")
	}
	var header struct {
		JWK jsontext.Value `json:"jwk"`
	}
	if err := json.Unmarshal(decoded, &header); err != nil || header.JWK == nil {
		return nil, refuse(BadKey, "header has no jwk")
	}
	var j remoteJWK
	if err := json.Unmarshal(header.JWK, &j); err != nil || header.JWK.Kind() != jsontext.KindBeginObject {
		return nil, refuse(BadKey, "jwk is not an object with members of the right type")
	}
	switch {
	case j.secretMembers.any():
		return nil, refuse(BadKey, "jwk has a private or symmetric key: treat it as compromised")
	case j.check() != nil:
		return nil, refuse(BadKey, "jwk is not for signatures")
	case j.publicJWK != j.canonical():
		return nil, refuse(BadKey, "jwk is not in the canonical encoding")
	case j.Alg != "" && algNamed(j.Alg) != c.header.alg():
		return nil, refuse(WrongAlgorithm, "alg is not the algorithm of the key")
	}
	key, err := newPublicKey(j.publicJWK, c.header.alg())
	if err != nil {
		return nil, refuse(BadKey, "jwk is not a public key that fits alg")
	}
	return key, nil
}

// read reads the claims. Others than those of RFC 9449 are ignored.
func (p *Proof) read() error {
	all, err := p.c.parsed()
	if err != nil {
		return err
	}
	r := claimReader{all: all, optional: []string{"ath", "nonce"}}
	p.ID, p.Method, p.URL = r.text("jti"), r.text("htm"), r.long("htu")
	p.IssuedAt = r.requiredDate("iat")
	p.TokenHash, p.Nonce = r.text("ath"), r.text("nonce")
	return r.err
}

// long reads a claim that may be longer than a name.
func (r *claimReader) long(name string) string {
	text, ok := r.all[name].(string)
	if !ok || text == "" || strings.ContainsFunc(text, isControl) {
		r.fail(name, "is missing or not a string")
	}
	return text
}

// KeyID returns the thumbprint of the key (RFC 7638), which is what cnf.jkt of a token holds (RFC 9449 §6.1).
func (p *Proof) KeyID() string { return p.key.print }

// Verify checks the signature. The error is an *Error.
func (p *Proof) Verify() error {
	result, err := p.c.check(p.key)
	if err != nil {
		return err
	}
	return result
}

// ProofAlgs returns the algorithms of proofs, by their names in metadata (RFC 9449 §5.1). The one to prefer is the first.
func ProofAlgs() []string {
	names := []string{string(ES256), string(EdDSA), "Ed25519"}
	for _, alg := range slices.Sorted(maps.Keys(algorithms)) {
		if !slices.Contains(names, string(alg)) {
			names = append(names, string(alg))
		}
	}
	return names
}

// SignProof returns a proof for a request to a URL, with the claims that are set. The jti and the iat are required.
func (k SigningKey) SignProof(p Proof) (string, error) {
	header, claims, err := p.encode(k.Alg(), k.public.jwk)
	if err != nil {
		return "", err
	}
	return k.signUnder(header, claims)
}

// encode returns the encoded header and the claims of a proof by a key.
func (p Proof) encode(alg Alg, jwk publicJWK) (header string, claims []byte, err error) {
	decoded, err := json.Marshal(struct {
		Typ string    `json:"typ"`
		Alg Alg       `json:"alg"`
		JWK publicJWK `json:"jwk"`
	}{ProofType, alg, jwk.material()})
	if err != nil {
		return "", nil, fmt.Errorf("encoding header: %w", err)
	}
	claims, err = json.Marshal(struct {
		ID        string `json:"jti"`
		Method    string `json:"htm"`
		URL       string `json:"htu"`
		IssuedAt  int64  `json:"iat"`
		TokenHash string `json:"ath,omitzero"`
		Nonce     string `json:"nonce,omitzero"`
	}{p.ID, p.Method, p.URL, p.IssuedAt.Unix(), p.TokenHash, p.Nonce})
	if err != nil {
		return "", nil, fmt.Errorf("encoding proof: %w", err)
	}
	return encodeBase64(decoded) + ".", claims, nil
}
