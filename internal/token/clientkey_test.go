package token

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

func asPEM(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// TestParseClientKey: keys in the forms that openssl and other programs write sign what their public parts verify.
func TestParseClientKey(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[Alg]crypto.Signer{RS256: rsaKey, EdDSA: edKey}
	for alg, curve := range map[Alg]elliptic.Curve{ES256: elliptic.P256(), ES384: elliptic.P384(), ES512: elliptic.P521()} {
		if keys[alg], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for alg, private := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		forms := map[string][]byte{"PKCS #8": asPEM(t, "PRIVATE KEY", der, err)}
		switch key := private.(type) {
		case *ecdsa.PrivateKey:
			der, err := x509.MarshalECPrivateKey(key)
			forms["SEC 1"] = asPEM(t, "EC PRIVATE KEY", der, err)
		case *rsa.PrivateKey:
			forms["PKCS #1"] = asPEM(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil)
		}
		j, err := jwk.FromRaw(private)
		if err != nil {
			t.Fatal(err)
		}
		_ = j.Set("kid", "named")
		data, _ := json.Marshal(j)
		forms["JWK"] = data
		for form, data := range forms {
			checkClientKey(t, form, data, alg, private)
		}
	}
	j, _ := jwk.FromRaw(rsaKey)
	_ = j.Set("alg", "PS256")
	data, _ := json.Marshal(j)
	checkClientKey(t, "JWK for PS256", data, PS256, rsaKey)
}

func checkClientKey(t *testing.T, form string, data []byte, alg Alg, private crypto.Signer) {
	t.Helper()
	key, err := ParseClientKey(data)
	if err != nil {
		t.Fatalf("%s, %s: %v", alg, form, err)
	}
	signed, err := key.SignAs("JWT", []byte(`{"iss":"a","sub":"a","aud":"b","exp":1}`))
	if err != nil {
		t.Fatal(err)
	}
	public, err := newPrivateJWK(alg, private)
	if err != nil {
		t.Fatal(err)
	}
	wantID := public.Kid
	if form == "JWK" {
		wantID = "named"
	}
	public.Kid = wantID
	verifier, err := newPublicKey(public.publicJWK, alg)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := OpenSigned(signed, MaxTokenSize)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := opened.Verify(newKeySet([]*publicKey{verifier}), nil, 1); err != nil || opened.KeyID() != wantID || key.KeyID() != wantID {
		t.Errorf("%s, %s, kid %q: %v", alg, form, opened.KeyID(), err)
	}
}

func TestParseClientKeyRefuses(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // which newer versions of Go refuse
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	x25519, _ := ecdh.X25519().GenerateKey(rand.Reader)
	good, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return asPEM(t, "PRIVATE KEY", der, err)
	}
	public, _ := x509.MarshalPKIXPublicKey(&good.PublicKey)
	private, _ := jwk.FromRaw(good)
	open, _ := private.PublicKey()
	asPublic, _ := json.Marshal(open)
	secret, _ := json.Marshal(private)
	for name, data := range map[string][]byte{
		"nothing":       nil,
		"text":          []byte("my key"),
		"weak RSA":      pkcs8(weak),
		"P-224":         pkcs8(p224),
		"X25519":        pkcs8(x25519),
		"a public key":  asPEM(t, "PUBLIC KEY", public, nil),
		"a public JWK":  asPublic,
		"a secret":      []byte(`{"kty":"oct","k":"AAAA"}`),
		"encrypted":     asPEM(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil),
		"encrypted old": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x"), Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}}),
		"damaged":       asPEM(t, "PRIVATE KEY", []byte("x"), nil),
		"another alg":   []byte(strings.Replace(string(secret), "{", `{"alg":"ES384",`, 1)),
	} {
		key, err := ParseClientKey(data)
		if err == nil {
			t.Errorf("%s: accepted %v", name, key)
		}
	}
	key, err := ParseClientKey(pkcs8(good))
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", key, key, *key, key); strings.Count(shown, key.KeyID()) != 4 {
		t.Errorf("shows %s", shown)
	}
}

func FuzzParseClientKey(f *testing.F) {
	f.Add([]byte(`{"kty":"EC","crv":"P-256","d":"AA","x":"AA","y":"AA"}`))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if key, err := ParseClientKey(data); (key == nil) == (err == nil) {
			t.Errorf("got %v, %v", key, err)
		}
	})
}
