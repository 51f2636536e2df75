package token

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

func unsigned(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "."
}

func TestDecode(t *testing.T) {
	for name, test := range map[string]struct {
		raw, issuer string
		audience    []string
		reason      Reason
	}{
		"unsigned":                {raw: unsigned(`{"alg":"none"}`, `{"iss":"https://a.example.com","aud":"b"}`), issuer: "https://a.example.com", audience: []string{"b"}},
		"several audiences":       {raw: unsigned(`{}`, `{"aud":["b",1,"c"]}`), audience: []string{"b", "c"}},
		"claims of odd types":     {raw: unsigned(`{}`, `{"iss":1,"aud":2}`)},
		"two parts":               {raw: "e30.e30", reason: Malformed},
		"four parts":              {raw: "e30.e30.e30.e30", reason: Malformed},
		"empty":                   {raw: "", reason: Malformed},
		"header is not an object": {raw: unsigned(`[]`, `{}`), reason: Malformed},
		"claims repeated":         {raw: unsigned(`{}`, `{"a":1,"a":2}`), reason: Malformed},
		"padding":                 {raw: "e30=.e30.", reason: Malformed},
		"too large":               {raw: strings.Repeat("e", MaxTokenSize) + ".e30.", reason: Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(test.raw)
			if test.reason != "" {
				if ErrorReason(err) != test.reason {
					t.Fatalf("error %v, want %s", err, test.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Issuer() != test.issuer || !slices.Equal(got.Audience(), test.audience) {
				t.Errorf("issuer %q, audience %q", got.Issuer(), got.Audience())
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(unsigned(`{"alg":"none"}`, `{"iss":"a","aud":["b"]}`))
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := Decode(raw)
		if (got == nil) == (err == nil) {
			t.Fatalf("got %v and error %v", got, err)
		}
		if got != nil {
			got.Issuer()
			got.Audience()
		}
	})
}
