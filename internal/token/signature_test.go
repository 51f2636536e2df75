package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"maps"
	"slices"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// TestSignaturesOfTheLibrary: each side verifies what the other has signed, and refuses it after a change of one bit.
func TestSignaturesOfTheLibrary(t *testing.T) {
	curves := map[Alg]elliptic.Curve{ES256: elliptic.P256(), ES384: elliptic.P384(), ES512: elliptic.P521()}
	for alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			private, err := signerFor(alg, curves[alg])
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := jws.NewSigner(jwa.SignatureAlgorithm(alg))
			if err != nil {
				t.Fatal(err)
			}
			check, err := jws.NewVerifier(jwa.SignatureAlgorithm(alg))
			if err != nil {
				t.Fatal(err)
			}
			sign, err := newSignFunc(alg, private)
			if err != nil {
				t.Fatal(err)
			}
			verify, err := newVerifyFunc(alg, private.Public())
			if err != nil {
				t.Fatal(err)
			}
			rounds := 300 // one of 256 signatures has a short r, another a short s
			if alg != ES256 {
				rounds = 10 // others are slower
			}
			for n := range rounds {
				input := []byte{byte(n), byte(n >> 8), 'x'}
				sig, err := sign(input)
				if err != nil {
					t.Fatal(err)
				}
				if err := check.Verify(input, sig, private.Public()); err != nil {
					t.Fatalf("the library refuses %x: %v", sig, err)
				}
				if sig, err = theirs.Sign(input, private); err != nil {
					t.Fatal(err)
				}
				if err := verify(input, sig); err != nil {
					t.Fatalf("%x of the library: %v", sig, err)
				}
				sig[n%len(sig)] ^= 1 << (n % 8)
				if verify(input, sig) == nil {
					t.Fatalf("%x is accepted after a change", sig)
				}
			}
		})
	}
}

// TestKeyOfAnotherAlgorithm: a key verifies nothing for an algorithm of another type of key, or for one that is unknown.
func TestKeyOfAnotherAlgorithm(t *testing.T) {
	for _, of := range []Alg{ES256, RS256, EdDSA} {
		private, err := signerFor(of, elliptic.P256())
		if err != nil {
			t.Fatal(err)
		}
		for _, alg := range append(slices.Collect(maps.Keys(algorithms)), "", "none", "HS256") {
			_, err := newVerifyFunc(alg, private.Public())
			if fits := algorithms[alg].kty == algorithms[of].kty; (err == nil) != fits {
				t.Errorf("%q with a key for %s: %v", alg, of, err)
			}
		}
	}
}

func signerFor(alg Alg, curve elliptic.Curve) (crypto.Signer, error) {
	switch algorithms[alg].kty {
	case ktyEC:
		return ecdsa.GenerateKey(curve, rand.Reader)
	case ktyRSA:
		return generate(RS256)
	}
	return generate(EdDSA)
}

// TestEncodeDER compares with another encoder, for integers of all lengths. Decoding gives the same signature again.
func TestEncodeDER(t *testing.T) {
	for _, size := range []int{32, 48, 66} {
		for zeros := range size + 1 {
			for _, first := range []byte{1, 0x7f, 0x80, 0xff} {
				sig := make([]byte, 2*size)
				rand.Read(sig)
				clear(sig[:zeros])
				clear(sig[size : size+size-zeros])
				if zeros < size {
					sig[zeros] = first
				}
				if zeros > 0 {
					sig[size+size-zeros] = first
				}
				want := derOf(sig[:size], sig[size:])
				got := encodeDER(sig)
				if !bytes.Equal(got, want) {
					t.Fatalf("%x is encoded as %x, want %x", sig, got, want)
				}
				if again, err := fixedSize(bytes.Clone(got), size); err != nil || !bytes.Equal(again, sig) {
					t.Fatalf("%x is decoded as %x, %v, want %x", got, again, err, sig)
				}
			}
		}
	}
}

func derOf(r, s []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, integer := range [][]byte{r, s} {
			integer = bytes.TrimLeft(integer, "\x00")
			b.AddASN1(asn1.INTEGER, func(b *cryptobyte.Builder) {
				if len(integer) == 0 || integer[0] >= 0x80 {
					b.AddUint8(0)
				}
				b.AddBytes(integer)
			})
		}
	})
	return b.BytesOrPanic()
}

// TestFixedSizeRefuses: what is not a signature in ASN.1 is an error.
func TestFixedSizeRefuses(t *testing.T) {
	good := derOf([]byte{1}, []byte{2})
	for _, der := range [][]byte{nil, {0x30}, good[:len(good)-1], append(bytes.Clone(good), 0), derOf(bytes.Repeat([]byte{1}, 33), []byte{2})} {
		if sig, err := fixedSize(der, 32); err == nil {
			t.Errorf("%x is read as %x", der, sig)
		}
	}
}
