package token

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// testNow is the time at which the tests' tokens are issued and checked.
var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	testIssuer   = "https://auth.example.com"
	testAudience = "https://api.example.com"
)

// testKey makes one key per algorithm for the whole run: RSA keys are slow to make.
func testKey(tb testing.TB, alg Alg) *SigningKey {
	tb.Helper()
	key, err := testKeys[alg]()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

var testKeys = func() map[Alg]func() (*SigningKey, error) {
	keys := make(map[Alg]func() (*SigningKey, error))
	for _, alg := range signingAlgs {
		keys[alg] = sync.OnceValues(func() (*SigningKey, error) { return GenerateKey(alg) })
	}
	return keys
}()

func testMint() Mint {
	return Mint{
		Issuer: testIssuer, ClientID: "ci-bot", ID: "JTI1", Audience: []string{testAudience},
		Scope: "book:*:read book:1:edit", IssuedAt: testNow, TTL: 10 * time.Minute,
	}
}

func testExpect() Expect {
	return Expect{
		Issuer: testIssuer, Audiences: []string{"https://other.example.com", testAudience},
		Now: func() time.Time { return testNow },
	}
}

func claimsOf(tb testing.TB, m Mint) []byte {
	tb.Helper()
	claims, err := m.Claims()
	if err != nil {
		tb.Fatal(err)
	}
	return claims
}

func signed(tb testing.TB, key *SigningKey, m Mint) string {
	tb.Helper()
	return signedClaims(tb, key, string(claimsOf(tb, m)))
}

// signedClaims signs any payload with a genuine header.
func signedClaims(tb testing.TB, key *SigningKey, claims string) string {
	tb.Helper()
	raw, err := key.Sign([]byte(claims))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// signedHeader signs any header with genuine claims: what an attacker could get who has a genuine
// signature made, so that nothing but the header can be why it is refused.
func signedHeader(tb testing.TB, key *SigningKey, header string) string {
	tb.Helper()
	return signedParts(tb, key, encodeBase64([]byte(header)), encodeBase64(claimsOf(tb, testMint())))
}

// signedParts signs two parts as they stand.
func signedParts(tb testing.TB, key *SigningKey, header, payload string) string {
	tb.Helper()
	input := header + "." + payload
	sig, err := key.sign([]byte(input))
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + encodeBase64(sig)
}

// testClaims is the claims set of testMint, changed: a value of nil removes a claim.
func testClaims(tb testing.TB, changes map[string]any) string {
	tb.Helper()
	var claims map[string]any
	if err := json.Unmarshal(claimsOf(tb, testMint()), &claims); err != nil {
		tb.Fatal(err)
	}
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	data, err := json.Marshal(claims, mintOptions)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// wantReason fails unless err is an *Error of that Reason.
func wantReason(tb testing.TB, err error, want Reason) {
	tb.Helper()
	if got := ErrorReason(err); got != want {
		tb.Errorf("reason %q (%v), want %q", got, err, want)
	}
}

// signPSS signs with a salt of any length.
func signPSS(tb testing.TB, private crypto.Signer, digest []byte, salt int) []byte {
	tb.Helper()
	sig, err := private.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
	if err != nil {
		tb.Fatal(err)
	}
	return sig
}

// testBytes is more than the tokens of most tests take.
const testBytes = 4 << 20

// newVerifier returns a Verifier of issuers, with a memory for each.
func newVerifier(expects ...Expect) *Verifier {
	var issuers []Trust
	for _, e := range expects {
		issuers = append(issuers, Trust{e, NewMemory(testBytes)})
	}
	return NewVerifier(issuers...)
}

// underRace is set if the race detector is on.
var underRace bool
