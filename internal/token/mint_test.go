package token

import (
	stdjson "encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestMintClaims(t *testing.T) {
	iat := testNow.Unix()
	for _, tt := range []struct {
		name   string
		change func(*Mint)
		want   string
	}{
		{"as it is", func(m *Mint) {}, `{"iss":"https://auth.example.com","sub":"ci-bot","client_id":"ci-bot",` +
			`"aud":"https://api.example.com","exp":%d,"iat":%d,"jti":"JTI1","scope":"book:*:read book:1:edit"}`},
		{"several audiences, a subject, no scope, fractions of seconds, extras", func(m *Mint) {
			m.Audience, m.Subject, m.Scope = []string{"a", "b"}, "s", ""
			m.IssuedAt, m.TTL = m.IssuedAt.Add(999*time.Millisecond), m.TTL+time.Millisecond
			m.Extra = map[string]any{"z": stdjson.Number("18446744073709551617"), "a": []any{nil, true, "<&>\u2028"}}
		}, `{"iss":"https://auth.example.com","sub":"s","client_id":"ci-bot","aud":["a","b"],"exp":%d,"iat":%d,"jti":"JTI1",` +
			`"a":[null,true,"<&>` + "\u2028" + `"],"z":18446744073709551617}`},
	} {
		m := testMint()
		tt.change(&m)
		want := fmt.Sprintf(tt.want, iat+600, iat)
		if got := string(claimsOf(t, m)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, want)
		}
	}
}

// A name that ends its own string stays a name.
func TestMintExtraNamesAreNames(t *testing.T) {
	m := testMint()
	m.Extra = map[string]any{`x":0,"admin`: true, `\`: "\"", "ключ": map[string]any{"sub": "of the claim"}}
	c, err := Verify(signed(t, testKey(t, EdDSA), m), NewKeySet(testKey(t, EdDSA)), testExpect())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.All) != 8+len(m.Extra) || c.All["admin"] != nil || c.Subject != "ci-bot" {
		t.Errorf("claims %v", c.All)
	}
	for name, want := range m.Extra {
		if got := c.All[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%q = %v, want %v", name, got, want)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	extra := func(name string, value any) func(*Mint) {
		return func(m *Mint) { m.Extra = map[string]any{name: value} }
	}
	for name, change := range map[string]func(*Mint){
		"no iss":                func(m *Mint) { m.Issuer = "" },
		"no client":             func(m *Mint) { m.ClientID = "" },
		"no client, a sub":      func(m *Mint) { m.ClientID, m.Subject = "", "s" },
		"no jti":                func(m *Mint) { m.ID = "" },
		"sub with newline":      func(m *Mint) { m.Subject = "a\nb" },
		"client not UTF-8":      func(m *Mint) { m.ClientID = "a\xff" },
		"no aud":                func(m *Mint) { m.Audience = nil },
		"empty aud":             func(m *Mint) { m.Audience = []string{"a", ""} },
		"no iat":                func(m *Mint) { m.IssuedAt = time.Time{} },
		"iat of 1969":           func(m *Mint) { m.IssuedAt = time.Unix(-1, 0) },
		"no lifetime":           func(m *Mint) { m.TTL = 0 },
		"half a second":         func(m *Mint) { m.TTL = time.Second / 2 },
		"negative lifetime":     func(m *Mint) { m.TTL = -time.Hour },
		"endless":               func(m *Mint) { m.IssuedAt = time.Unix(maxDate, 0) },
		"too large":             func(m *Mint) { m.Scope = strings.Repeat("book ", 900) },
		"extra sub":             extra("sub", "admin"),
		"extra Scope":           extra("Scope", "*"),
		"extra with long s":     extra("\u017fub", "admin"),
		"extra without name":    extra("", 1),
		"extra NUL":             extra("a\x00", 1),
		"extra newline":         extra("a\n", 1),
		"extra DEL":             extra("a\x7f", 1),
		"extra not UTF-8":       extra("a\xff", 1),
		"extra long":            extra(strings.Repeat("n", 129), 1),
		"extra func":            extra("f", func() {}),
		"extra NaN":             extra("f", stdjson.Number("NaN")),
		"extra two values":      extra("f", stdjson.Number(`1,"sub":"x"`)),
		"extra not a number":    extra("f", stdjson.Number("")),
		"extra huge number":     extra("f", stdjson.Number("1e999999")),
		"extra too deep":        extra("f", nested(maxDepth)),
		"extra value not UTF-8": extra("f", "\xff"),
		"extra too large":       extra("f", strings.Repeat("x", MaxClaimsSize)),
	} {
		m := testMint()
		change(&m)
		claims, err := m.Claims()
		if err == nil {
			t.Errorf("%s: %s", name, claims)
		}
	}
}

// TestMintNamesTheClaim: of many claims, the error names the one that is refused.
func TestMintNamesTheClaim(t *testing.T) {
	long := strings.Repeat("n", 129)
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"Scope": {1, `minting claims: claim "Scope" is reserved`},
		"a\n":   {1, `minting claims: the name of claim "a\n" has control characters or is not UTF-8`},
		long:    {1, `minting claims: the name of claim "` + long[:40] + `"… is longer than 128 bytes`},
		"f":     {stdjson.Number("NaN"), `minting claims: claim "f" is not JSON`},
		"deep":  {nested(maxDepth), `minting claims: claim "deep" is nested too deeply or has a number that is out of range`},
		"huge":  {stdjson.Number("1e999999"), `minting claims: claim "huge" is nested too deeply or has a number that is out of range`},
	} {
		m := testMint()
		m.Extra = map[string]any{"a": 1, "z": "z", name: c.value}
		if _, err := m.Claims(); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", name, err, c.want)
		}
	}
}

// The largest claims set with the largest signature is a token that Verify still looks at.
func TestLargestTokenIsReadable(t *testing.T) {
	header := base64Len(maxHeaderSize / 4) // a header of ours has about 90 bytes
	if size := header + 1 + base64Len(MaxClaimsSize) + 1 + base64Len(maxRSABits/8); size > MaxTokenSize {
		t.Errorf("a token may have %d bytes", size)
	}
	m := testMint()
	m.Extra = map[string]any{"x": ""}
	m.Extra["x"] = strings.Repeat("x", MaxClaimsSize-len(claimsOf(t, m)))
	if _, err := Verify(signed(t, testKey(t, RS256), m), NewKeySet(testKey(t, RS256)), testExpect()); err != nil {
		t.Error(err)
	}
}

func base64Len(n int) int { return (n*8 + 5) / 6 }
