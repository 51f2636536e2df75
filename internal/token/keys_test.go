package token

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestParseAlg(t *testing.T) {
	for name, want := range map[string]Alg{"": ES256, "ES256": ES256, "RS256": RS256, "PS256": PS256, "EdDSA": EdDSA} {
		if got, err := ParseAlg(name); got != want || err != nil {
			t.Errorf("ParseAlg(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"none", "HS256", "es256", "ES384", "RS512", "ES256 ", "EDDSA"} {
		if _, err := ParseAlg(name); err == nil || !strings.Contains(err.Error(), "ES256, RS256, PS256, EdDSA") {
			t.Errorf("ParseAlg(%q): %v", name, err)
		}
	}
}

func TestGenerateKeyRefuses(t *testing.T) {
	for _, alg := range []Alg{"", "none", "HS256", ES384} {
		if key, err := GenerateKey(alg); err == nil || key != nil {
			t.Errorf("%q: %v, %v", alg, key, err)
		}
	}
}

func TestStoredKey(t *testing.T) {
	for _, alg := range signingAlgs {
		t.Run(string(alg), func(t *testing.T) {
			key := testKey(t, alg)
			stored := marshalPrivate(t, key)
			again, err := ParseSigningKey(stored)
			if err != nil {
				t.Fatal(err)
			}
			if again.ID() != key.ID() || again.Alg() != alg || len(key.ID()) != 43 {
				t.Errorf("%v, want %v", again, key)
			}
			if !bytes.Equal(marshalPrivate(t, again), stored) {
				t.Error("stored differently the second time")
			}
			if _, err := Verify(signed(t, again, testMint()), NewKeySet(key), testExpect()); err != nil {
				t.Error(err)
			}
		})
	}
}

// RFC 7638 §3.1: the example of a thumbprint; RFC 8037 A.3: that of Ed25519.
func TestKeyIDIsThumbprint(t *testing.T) {
	private := `{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",` +
		`"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"EdDSA","use":"sig","kid":"%s"}`
	const thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	key, err := ParseSigningKey(fmt.Appendf(nil, private, thumbprint))
	if err != nil || key.ID() != thumbprint {
		t.Errorf("%v, %v", key, err)
	}
	if _, err := ParseSigningKey(fmt.Appendf(nil, private, "other")); err == nil {
		t.Error("accepted a kid that is not the thumbprint")
	}
}

// A stored key in which a single bit has changed is refused, and so is one that was cut short.
func TestStoredKeyDamaged(t *testing.T) {
	t.Parallel()
	for _, alg := range []Alg{ES256, EdDSA} {
		stored := marshalPrivate(t, testKey(t, alg))
		for i := range stored {
			for bit := range 8 {
				damaged := bytes.Clone(stored)
				damaged[i] ^= 1 << bit
				if _, err := ParseSigningKey(damaged); err == nil {
					t.Errorf("%s: accepted with bit %d of byte %d changed", alg, bit, i)
				}
			}
			if _, err := ParseSigningKey(stored[:i]); err == nil {
				t.Errorf("%s: accepted when cut at %d", alg, i)
			}
		}
	}
}

func TestStoredRSAKeyDamaged(t *testing.T) {
	key := testKey(t, RS256)
	var members map[string]string
	if err := json.Unmarshal(marshalPrivate(t, key), &members); err != nil {
		t.Fatal(err)
	}
	if len(members) != 12 {
		t.Errorf("%d members", len(members))
	}
	for name, value := range members {
		for _, damaged := range []string{"", "AA" + value, value + "AAAA", value[:len(value)-1], swapCase(value)} {
			members[name] = damaged
			if _, err := ParseSigningKey(mustJSON(t, members)); err == nil {
				t.Errorf("accepted with %s changed", name)
			}
		}
		delete(members, name)
		if _, err := ParseSigningKey(mustJSON(t, members)); err == nil {
			t.Errorf("accepted without %s", name)
		}
		members[name] = value
	}
}

// swapCase changes one character in the middle.
func swapCase(s string) string {
	b := []byte(s)
	if b[len(b)/2] == 'A' {
		b[len(b)/2] = 'B'
	} else {
		b[len(b)/2] = 'A'
	}
	return string(b)
}

func TestParseSigningKeyRefuses(t *testing.T) {
	ec := string(marshalPrivate(t, testKey(t, ES256)))
	public := string(mustJSON(t, testKey(t, ES256).public.jwk))
	for name, stored := range map[string]string{
		"empty":             "",
		"null":              "null",
		"an array":          "[" + ec + "]",
		"trailing":          ec + ec,
		"public":            public,
		"empty d":           strings.Replace(public, "{", `{"d":"",`, 1),
		"unknown member":    strings.Replace(ec, "{", `{"x5c":[],`, 1),
		"member twice":      strings.Replace(ec, "{", `{"kty":"EC",`, 1),
		"other alg":         strings.Replace(ec, "ES256", "EdDSA", 1),
		"verify-only alg":   strings.Replace(ec, "ES256", "ES384", 1),
		"no alg":            strings.Replace(ec, `"alg":"ES256",`, "", 1),
		"for encryption":    strings.Replace(ec, `"sig"`, `"enc"`, 1),
		"symmetric":         `{"kty":"oct","k":"AAAA","alg":"HS256","kid":"x","use":"sig"}`,
		"another key's d":   strings.Replace(ec, testKey(t, ES256).private().D, otherD(t), 1),
		"d of zero":         strings.Replace(ec, testKey(t, ES256).private().D, strings.Repeat("A", 43), 1),
		"d above the order": strings.Replace(ec, testKey(t, ES256).private().D, strings.Repeat("_", 42)+"8", 1),
		"too large":         ec + strings.Repeat(" ", maxStoredKeySize),
	} {
		_, err := ParseSigningKey([]byte(stored))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if strings.Contains(err.Error(), testKey(t, ES256).private().D) {
			t.Errorf("%s: error shows the key", name)
		}
	}
}

func otherD(t *testing.T) string {
	t.Helper()
	other, err := GenerateKey(ES256)
	if err != nil {
		t.Fatal(err)
	}
	return other.private().D
}

// However a key is printed, its private part is not there.
func TestSigningKeyShowsNothing(t *testing.T) {
	for _, alg := range signingAlgs {
		key := testKey(t, alg)
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%t"} {
			fmt.Fprintf(&out, verb, key)
			fmt.Fprintf(&out, verb, *key)
			fmt.Fprintf(&out, verb, []SigningKey{*key})
			fmt.Fprintf(&out, verb, struct{ hidden SigningKey }{*key})
			fmt.Fprintf(&out, verb, struct{ hidden *SigningKey }{key})
		}
		std, err := stdjson.Marshal(map[string]any{"pointer": key, "value": *key})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(std)
		out.Write(mustJSON(t, []any{key, *key}))
		slog.New(slog.NewTextHandler(&out, nil)).Info("key", "pointer", key, "value", *key)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "pointer", key, "value", *key)
		checkShowsNothing(t, key, out.String())
	}
	if got := fmt.Sprint(SigningKey{}); got != "no signing key" {
		t.Errorf("zero key: %q", got)
	}
}

func checkShowsNothing(t *testing.T, key *SigningKey, out string) {
	t.Helper()
	private := key.private()
	raw, err := decodeBase64(private.D)
	if err != nil {
		t.Fatal(err)
	}
	for form, secret := range map[string]string{
		"base64url": private.D[:16],
		"hex":       fmt.Sprintf("%x", raw[:8]),
		"HEX":       fmt.Sprintf("%X", raw[:8]),
		"bytes":     strings.Trim(fmt.Sprint(raw[:8]), "[]"),
		"text":      string(raw[:8]),
	} {
		if strings.Contains(out, secret) {
			t.Errorf("%s: the private part is shown as %s", key, form)
		}
	}
	if !strings.Contains(out, key.ID()) {
		t.Errorf("%s: not shown at all", key)
	}
}

func TestSignConcurrently(t *testing.T) {
	key := testKey(t, ES256)
	keys, claims := NewKeySet(key), claimsOf(t, testMint())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			raw, err := key.Sign(claims)
			if err != nil {
				t.Error(err)
			}
			if _, err := Verify(raw, keys, testExpect()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// RFC 9068 §2.1 and RFC 7515: the header as it stands.
func TestSignHeader(t *testing.T) {
	key := testKey(t, ES256)
	first, _, _ := strings.Cut(signed(t, key, testMint()), ".")
	got, err := decodeBase64(first)
	if want := fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, key.ID()); string(got) != want || err != nil {
		t.Errorf("header %s, %v, want %s", got, err, want)
	}
}

func TestNewID(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := NewID()
		if len(id) < 26 || seen[id] || !isBase64URL(id) || !IsID(id) {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
	for _, text := range []string{"", "ABC", NewID() + "1", NewID() + "\n", strings.ToLower(NewID())} {
		if IsID(text) {
			t.Errorf("%q is taken for an id", text)
		}
	}
}

func marshalPrivate(tb testing.TB, key *SigningKey) []byte {
	tb.Helper()
	stored, err := key.MarshalPrivate()
	if err != nil {
		tb.Fatal(err)
	}
	return stored
}
