package token

import (
	stdjson "encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

type mintedClaims struct {
	Issuer   string         `json:"iss"`
	Subject  string         `json:"sub"`
	ClientID string         `json:"client_id"`
	Audience any            `json:"aud"`
	Expires  int64          `json:"exp"`
	IssuedAt int64          `json:"iat"`
	ID       string         `json:"jti"`
	Scope    string         `json:"scope,omitzero"`
	Cnf      mintedCnf      `json:"cnf,omitzero"`
	Act      map[string]any `json:"act,omitempty"`
	Extra    map[string]any `json:",embed"`
}

type mintedCnf struct {
	JKT     string `json:"jkt,omitzero"`
	X5TS256 string `json:"x5t#S256,omitzero"`
}

func (m Mint) minted() mintedClaims {
	issued := m.IssuedAt.Unix()
	c := mintedClaims{
		Issuer: m.Issuer, Subject: m.Subject, ClientID: m.ClientID, Audience: m.Audience, ID: m.ID, Scope: m.Scope,
		Cnf: mintedCnf(m.Confirmation), Act: m.Actor, IssuedAt: issued, Expires: issued + int64(m.TTL/time.Second), Extra: m.Extra,
	}
	if len(m.Audience) == 1 {
		c.Audience = m.Audience[0]
	}
	return c
}

// TestMintEncoding compares random claims with what the JSON library writes for a struct, byte for byte.
func TestMintEncoding(t *testing.T) {
	seed := rand.Uint64()
	r := claimMaker{rand.New(rand.NewPCG(seed, 0))}
	for range 20_000 {
		m := Mint{
			Issuer: r.text(), Subject: r.text(), ClientID: r.text(), ID: r.text(), Scope: r.text(), IssuedAt: time.Unix(r.Int64N(maxDate), 0),
			TTL: time.Duration(r.Int64N(int64(MaxTTL))), Audience: []string{r.text()},
		}
		for range r.IntN(3) {
			m.Audience = append(m.Audience, r.text())
		}
		if r.IntN(2) == 0 {
			m.Confirmation = Confirmation{r.text(), r.text()}
		}
		if r.IntN(2) == 0 {
			m.Actor = map[string]any{"sub": r.text(), "client_id": r.text(), "act": map[string]any{"sub": r.text()}}
		}
		if n := r.IntN(4); n > 0 {
			m.Extra = make(map[string]any)
			for range n {
				m.Extra["x"+r.text()] = r.value(5)
			}
		}
		want, wantErr := json.Marshal(m.minted(), mintOptions)
		got, err := m.encode()
		if (err == nil) != (wantErr == nil) || err == nil && string(got) != string(want) {
			t.Fatalf("seed %d: %#v:\n got %s, %v\nwant %s, %v", seed, m, got, err, want, wantErr)
		}
	}
}

// claimMaker makes random claims.
type claimMaker struct{ *rand.Rand }

func (r claimMaker) text() string {
	var b strings.Builder
	for range r.IntN(6) {
		switch r.IntN(10) {
		case 0:
			b.WriteRune(rune(r.IntN(utf8.MaxRune)))
		case 1:
			b.WriteRune([]rune{'"', '\\', '/', '<', '&', 0, '\n', 0x7f, 0x2028, 0xfffd, 0xffff, 0x10000}[r.IntN(12)])
		case 2:
			if r.IntN(20) == 0 {
				b.WriteByte(byte(r.IntN(256)))
			}
		default:
			b.WriteByte(byte(' ' + r.IntN(0x5f)))
		}
	}
	return b.String()
}

func (r claimMaker) value(depth int) any {
	kinds := 9
	if depth == 0 {
		kinds = 7
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return stdjson.Number([]string{"0", "-1", "1.50", "1e3", "18446744073709551617", "-0", "1E+2", "", "NaN", " 1", "1,2", "01"}[r.IntN(12-r.IntN(2)*5)])
	case 3:
		return r.NormFloat64() * 1e6
	case 4:
		return []any{r.IntN(100), int64(-5), []string{"a", "<"}, map[string]string{"b": "1", "a": "2"}, []any(nil), map[string]any(nil)}[r.IntN(6)]
	case 5, 6:
		return r.text()
	case 7:
		list := []any{}
		for range r.IntN(4) {
			list = append(list, r.value(depth-1))
		}
		return list
	}
	object := map[string]any{}
	for range r.IntN(4) {
		object[r.text()] = r.value(depth - 1)
	}
	return object
}

// TestMintEncodingOfTheDeep: a value that contains itself is an error, and does not end the process.
func TestMintEncodingOfTheDeep(t *testing.T) {
	loop := map[string]any{}
	loop["again"] = loop
	m := testMint()
	m.Extra = map[string]any{"x": loop}
	if claims, err := m.Claims(); err == nil {
		t.Errorf("%s", claims)
	}
}
