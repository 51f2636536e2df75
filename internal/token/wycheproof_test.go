package token

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The test vectors of Project Wycheproof. A vector is either "valid", and must be accepted, or it
// is "invalid" or "acceptable", and must be refused: what is only acceptable is not canonical.
// Exceptions are listed in wycheproof_exceptions_test.go, each with its reason; one that is not
// needed fails the test.

type vectorFile struct {
	NumberOfTests int           `json:"numberOfTests"`
	Groups        []vectorGroup `json:"testGroups"`
}

type vectorGroup struct {
	Comment string         `json:"comment"`
	Public  jsontext.Value `json:"public"`
	Private jsontext.Value `json:"private"`
	Key     jsontext.Value `json:"publicKey"`
	Tests   []vector       `json:"tests"`
}

type vector struct {
	ID      int            `json:"tcId"`
	Comment string         `json:"comment"`
	Result  string         `json:"result"`
	JWS     jsontext.Value `json:"jws"`
	Msg     string         `json:"msg"`
	Sig     string         `json:"sig"`
}

func readVectors(t *testing.T, name string) vectorFile {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, name+"_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// vectorRun counts the vectors of one file and uses up its exceptions.
type vectorRun struct {
	t          *testing.T
	file       string
	ran        int
	exceptions map[int]string
}

func newVectorRun(t *testing.T, file string) *vectorRun {
	return &vectorRun{t: t, file: file, exceptions: maps.Clone(wycheproofExceptions[file])}
}

func (r *vectorRun) check(v vector, accepted bool) {
	r.ran++
	want := v.Result == "valid"
	if accepted == want {
		return
	}
	if _, ok := r.exceptions[v.ID]; ok {
		delete(r.exceptions, v.ID)
		return
	}
	r.t.Errorf("%s %d (%s): accepted %v, want %v", r.file, v.ID, v.Comment, accepted, want)
}

func (r *vectorRun) finish(want int) {
	if r.ran != want || want == 0 {
		r.t.Errorf("%s: ran %d of %d vectors", r.file, r.ran, want)
	}
	for id, reason := range r.exceptions {
		r.t.Errorf("%s %d: exception %q is not needed", r.file, id, reason)
	}
}

// Tokens go through gate, key set and signature check. They are not access tokens, so that typ and
// claims are left out.
func TestWycheproofTokens(t *testing.T) {
	t.Parallel()
	ran := 0
	for _, name := range []string{"json_web_signature", "json_web_key"} {
		file := readVectors(t, name)
		run := newVectorRun(t, name)
		for _, group := range file.Groups {
			keys := vectorKeys(group)
			for _, v := range group.Tests {
				run.check(v, acceptsSignature(vectorToken(v), keys))
			}
		}
		run.finish(file.NumberOfTests)
		ran += run.ran
	}
	if ran < 427 {
		t.Errorf("ran %d vectors only", ran)
	}
}

func acceptsSignature(raw string, keys *KeySet) bool {
	c, err := openCompact(raw, MaxTokenSize, headerRules{}, nil)
	if err != nil {
		return false
	}
	_, _, err = c.signedBy(keys, nil)
	return err == nil
}

// vectorKeys reads the keys of a group as ParseKeySet would get them. Symmetric groups have no
// public key: there, as an issuer by mistake might, the secret one is published.
func vectorKeys(g vectorGroup) *KeySet {
	keys := g.Public
	if keys == nil {
		keys = g.Private
	}
	if !strings.Contains(string(keys), `"keys"`) {
		keys = jsontext.Value(fmt.Sprintf(`{"keys":[%s]}`, keys))
	}
	set, _, err := ParseKeySet(keys)
	if err != nil {
		return nil
	}
	return set
}

// vectorToken is the token of a vector: a string, or with JSON serialization an object.
func vectorToken(v vector) string {
	var raw string
	if err := json.Unmarshal(v.JWS, &raw); err != nil {
		return string(v.JWS)
	}
	return raw
}

// Bare signatures go to the check that Verify uses.
func TestWycheproofSignatures(t *testing.T) {
	t.Parallel()
	ran := 0
	for name, alg := range wycheproofSignatures {
		t.Run(name, func(t *testing.T) {
			file := readVectors(t, name)
			run := newVectorRun(t, name)
			for _, group := range file.Groups {
				key, err := newPublicKey(vectorKey(t, group.Key), alg)
				for _, v := range group.Tests {
					run.check(v, err == nil && key.check(alg, unhex(t, v.Msg), unhex(t, v.Sig)) == nil)
				}
			}
			run.finish(file.NumberOfTests)
			ran += run.ran
		})
	}
	if ran < 4000 {
		t.Errorf("ran %d vectors only", ran)
	}
}

// Signatures whose RSASSA-PSS parameters are not those of RFC 7518 §3.5 are all refused, the
// valid ones too: the salt is of another length, or another hash makes the mask.
func TestWycheproofForeignParameters(t *testing.T) {
	t.Parallel()
	for name, alg := range map[string]Alg{
		"rsa_pss_2048_sha256_mgf1_0":      PS256,
		"rsa_pss_2048_sha256_mgf1sha1_20": PS256,
		"rsa_pss_4096_sha512_mgf1_32":     PS512,
		"ecdsa_secp256r1_sha256":          ES256, // signatures in DER, not those of RFC 7518 §3.4
	} {
		file := readVectors(t, name)
		run := newVectorRun(t, name)
		for _, group := range file.Groups {
			key, err := newPublicKey(vectorKey(t, group.Key), alg)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range group.Tests {
				v.Result = "invalid"
				run.check(v, key.check(alg, unhex(t, v.Msg), unhex(t, v.Sig)) == nil)
			}
		}
		run.finish(file.NumberOfTests)
	}
}

// vectorKey is the key of a group of bare signatures, written as a JWK.
func vectorKey(t *testing.T, data jsontext.Value) publicJWK {
	t.Helper()
	var key struct {
		Type     string `json:"type"`
		Point    string `json:"uncompressed"`
		Curve    string `json:"curve"`
		PK       string `json:"pk"`
		Modulus  string `json:"modulus"`
		Exponent string `json:"publicExponent"`
	}
	if err := json.Unmarshal(data, &key); err != nil {
		t.Fatal(err)
	}
	switch {
	case key.PK != "":
		return publicJWK{Kty: ktyOKP, Crv: crvEd25519, X: encodeBase64(unhex(t, key.PK))}
	case key.Point != "":
		point := unhex(t, key.Point)[1:]
		half := len(point) / 2
		return publicJWK{
			Kty: ktyEC, Crv: strings.NewReplacer("secp", "P-", "r1", "").Replace(key.Curve),
			X: encodeBase64(point[:half]), Y: encodeBase64(point[half:]),
		}
	}
	return publicJWK{Kty: ktyRSA, N: encodeBase64(unhexUint(t, key.Modulus)), E: encodeBase64(unhexUint(t, key.Exponent))}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unhexUint drops the zero byte by which ASN.1 tells an integer from a negative one.
func unhexUint(t *testing.T, s string) []byte {
	t.Helper()
	return []byte(strings.TrimLeft(string(unhex(t, s)), "\x00"))
}
