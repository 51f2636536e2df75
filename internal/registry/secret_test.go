package registry

import (
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"
)

func sum(s string) [32]byte { return sha256.Sum256([]byte(s)) }

func TestNewSecret(t *testing.T) {
	form := regexp.MustCompile(`^m2m_[0-9A-Za-z]{49}$`)
	seen := make(map[string]bool)
	for range 1000 {
		s := NewSecret()
		if !form.MatchString(s) || CheckSecret(s) != nil || seen[s] {
			t.Fatalf("a bad secret: %q", s)
		}
		seen[s] = true
	}
}

// TestSecretFormat: scanners of leaked secrets rely on the format, so that it must not change.
func TestSecretFormat(t *testing.T) {
	const zero = "m2m_00000000000000000000000000000000000000000000hnAsa"
	if checksum(zero[:47]) != zero[47:] {
		t.Errorf("checksum of %s is %s", zero[:47], checksum(zero[:47]))
	}
	if err := CheckSecret(zero); err != nil {
		t.Error(err)
	}
	if got := HashSecret("abc"); got != "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0" { // FIPS 180-2, appendix B.1
		t.Errorf("HashSecret = %s", got)
	}
}

func TestCheckSecretRefuses(t *testing.T) {
	s := NewSecret()
	for _, c := range []struct {
		what, secret string
		want         error
	}{
		{"nothing", "", errSecretPrefix},
		{"another prefix", "M2M_" + s[4:], errSecretPrefix},
		{"a space before", " " + s, errSecretPrefix},
		{"a newline behind", s + "\n", errSecretLength},
		{"too short", s[:len(s)-1], errSecretLength},
		{"too long", s + "0", errSecretLength},
		{"another alphabet", s[:10] + "-" + s[11:], errSecretAlphabet},
		{"a NUL", s[:10] + "\x00" + s[11:], errSecretAlphabet},
		{"not ASCII", s[:10] + "é" + s[12:], errSecretAlphabet},
		{"a made-up one", "m2m_" + strings.Repeat("a", 49), errSecretChecksum},
	} {
		if err := CheckSecret(c.secret); err != c.want {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

func TestCheckSecretFindsEveryTypo(t *testing.T) {
	s := NewSecret()
	for i := len(secretPrefix); i < len(s); i++ {
		for _, c := range base62 {
			typo := s[:i] + string(c) + s[i+1:]
			if typo != s && CheckSecret(typo) == nil {
				t.Fatalf("character %d may be %c", i, c)
			}
		}
	}
}

func TestAuthenticate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	good, second, expired, madeUp := NewSecret(), NewSecret(), NewSecret(), "correct horse battery staple"
	secrets := []Secret{
		{ID: "1", SHA256: sum(good), Expires: now.Add(time.Nanosecond)},
		{ID: "2", SHA256: sum(expired), Expires: now},
		{ID: "3", SHA256: sum(madeUp)},
		{ID: "4"},
		{ID: "5", SHA256: sum(second)},
	}
	client := &Client{ID: "c", Secrets: secrets}
	many := &Client{Secrets: append(make([]Secret, MaxSecrets), secrets...)}
	for _, c := range []struct {
		what   string
		client *Client
		secret string
		want   string // the id of the secret
	}{
		{"a secret", client, good, "1"},
		{"another secret", client, second, "5"},
		{"more secrets than a file has", many, second, "5"},
		{"one that expires now", client, expired, ""},
		{"one of no client", client, NewSecret(), ""},
		{"nothing", client, "", ""},
		{"a hash", client, HashSecret(good), ""},
		{"a secret that somebody made up", client, madeUp, ""},
		{"an unknown client", nil, good, ""},
		{"an unknown client, nothing", nil, "", ""},
		{"a disabled client", &Client{Disabled: true, Secrets: secrets}, good, ""},
		{"a client that expires now", &Client{Expires: now, Secrets: secrets}, second, ""},
		{"a client that is about to expire", &Client{Expires: now.Add(time.Nanosecond), Secrets: secrets}, second, "5"},
		{"a client without secrets", &Client{}, good, ""},
		{"a live one of two alike", &Client{Secrets: []Secret{{ID: "1", SHA256: sum(good)}, {ID: "2", SHA256: sum(good), Expires: now}}}, good, "1"},
		{"very long", client, strings.Repeat("m2m_", 1<<14), ""},
	} {
		if got, id, err := c.client.Authenticate(c.secret, now); id != c.want || (got != nil) != (err == nil) || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %q, %v, want %q", c.what, id, err, c.want)
		}
	}
}

// TestRefusalSaysWhy: to the operator. The error's text is the same for all.
func TestRefusalSaysWhy(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	good, expired := NewSecret(), NewSecret()
	secrets := []Secret{{ID: "1", SHA256: sum(good)}, {ID: "2", SHA256: sum(expired), Expires: now}, {ID: "3", SHA256: sum("madeup")}}
	client := &Client{ID: "c", Secrets: secrets}
	disabled, over := &Client{ID: "c", Disabled: true, Secrets: secrets}, &Client{ID: "c", Expires: now, Secrets: secrets}
	damaged := &Client{ID: "c", Damage: errors.New("damaged"), Secrets: secrets}
	for _, c := range []struct {
		what       string
		client     *Client
		secret     string
		reason, id string
	}{
		{"wrong", client, NewSecret(), WrongSecret, "c"},
		{"mistyped", client, good[:len(good)-1], MalformedSecret, "c"},
		{"made up, with its hash in the registry", client, "madeup", MalformedSecret, "c"},
		{"expired", client, expired, SecretExpired, "c"},
		{"disabled", disabled, good, ClientDisabled, "c"},
		{"disabled, wrong", disabled, NewSecret(), WrongSecret, "c"},
		{"disabled, expired", disabled, expired, ClientDisabled, "c"},
		{"over", over, good, ClientExpired, "c"},
		{"damaged, wrong", damaged, NewSecret(), WrongSecret, "c"},
		{"without secrets", &Client{ID: "c"}, good, WrongSecret, "c"},
		{"unknown", nil, good, UnknownClient, ""},
		{"unknown, mistyped", nil, good[:len(good)-1], MalformedSecret, ""},
	} {
		_, _, err := c.client.Authenticate(c.secret, now)
		var refusal *Refusal
		if !errors.As(err, &refusal) || *refusal != (Refusal{c.reason, c.id}) || !errors.Is(err, ErrRefused) || err.Error() != ErrRefused.Error() {
			t.Errorf("%s: %v, %+v", c.what, err, refusal)
		}
	}
}

func TestSecretLives(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		expires time.Time
		want    bool
	}{{time.Time{}, true}, {now.Add(time.Nanosecond), true}, {now, false}, {now.Add(-time.Hour), false}} {
		if got := (Secret{Expires: c.expires}).Live(now); got != c.want {
			t.Errorf("expires %v: %v", c.expires, got)
		}
	}
}

// TestChecksum compares with the library, by its big numbers.
func TestChecksum(t *testing.T) {
	for _, body := range []string{"", "m2m_", NewSecret(), NewSecret(), strings.Repeat("\xff", 100), "\x00"} {
		want := digits(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), checksumDigits)
		if got := checksum(body); got != want {
			t.Errorf("checksum of %q is %s, want %s", body, got, want)
		}
	}
}

// TestAuthenticateAllocatesAlike: the time of an answer must not tell unknown clients. A test of time would be too noisy,
// so it counts allocations.
func TestAuthenticateAllocatesAlike(t *testing.T) {
	secret := NewSecret()
	allocs := func(c *Client) float64 {
		return testing.AllocsPerRun(100, func() { _, _, _ = c.Authenticate(secret, time.Unix(1, 0)) })
	}
	known := allocs(&Client{ID: "c", Secrets: []Secret{{SHA256: sum(NewSecret())}}})
	for _, c := range []*Client{nil, {}, {Disabled: true}, {Secrets: []Secret{{SHA256: sum(secret), Expires: time.Unix(0, 0)}}}, {Expires: time.Unix(0, 0)}, {Secrets: make([]Secret, MaxSecrets)}} {
		if got := allocs(c); got != known {
			t.Errorf("%+v: %v allocations, a known client %v", c, got, known)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	secret := NewSecret()
	known := &Client{Secrets: []Secret{{SHA256: sum(secret)}}}
	for name, c := range map[string]*Client{"unknown": nil, "known": known} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = c.Authenticate(secret, time.Time{})
			}
		})
	}
}

func FuzzCheckSecret(f *testing.F) {
	f.Add(NewSecret())
	f.Add("m2m_")
	f.Add("")
	f.Add("m2m_" + strings.Repeat("Z", 49))
	f.Fuzz(func(t *testing.T, s string) {
		err := CheckSecret(s)
		if err != nil {
			if s != "" && len(s) > 10 && strings.Contains(err.Error(), s) {
				t.Error("the error repeats the secret")
			}
			return
		}
		if len(s) != 53 || !strings.HasPrefix(s, "m2m_") || checksum(s[:47]) != s[47:] {
			t.Errorf("taken: %q", s)
		}
	})
}

// TestAuthenticateBy checks who is refused for what, and that a proof is checked for each of them.
func TestAuthenticateBy(t *testing.T) {
	now := time.Unix(1000, 0)
	damage := errors.New("damaged")
	for name, test := range map[string]struct {
		client *Client
		reason string // of the proof
		want   string // the reason of the refusal
	}{
		"right":              {&Client{ID: "c"}, "", ""},
		"wrong":              {&Client{ID: "c"}, "wrong_key", "wrong_key"},
		"unknown":            {nil, "", UnknownClient},
		"disabled":           {&Client{ID: "c", Disabled: true}, "", ClientDisabled},
		"disabled and wrong": {&Client{ID: "c", Disabled: true}, "wrong_key", "wrong_key"},
		"expired":            {&Client{ID: "c", Expires: now}, "", ClientExpired},
		"damaged and wrong":  {&Client{ID: "c", Damage: damage}, "wrong_key", "wrong_key"},
	} {
		t.Run(name, func(t *testing.T) {
			checked := 0
			client, err := test.client.AuthenticateBy(func(c *Client) string {
				checked++
				if test.client == nil && len(c.Keys)+len(c.Secrets) > 0 {
					t.Error("an unknown client has credentials")
				}
				return test.reason
			}, now)
			var refusal *Refusal
			if test.want == "" {
				if err != nil || client != test.client {
					t.Errorf("got %v, %v", client, err)
				}
			} else if !errors.As(err, &refusal) || refusal.Reason != test.want || client != nil {
				t.Errorf("got %v, %v", client, err)
			}
			if checked != 1 {
				t.Errorf("the proof was checked %d times", checked)
			}
		})
	}
	if _, err := (&Client{ID: "c", Damage: damage}).AuthenticateBy(func(*Client) string { return "" }, now); !errors.Is(err, damage) {
		t.Errorf("damaged: got %v", err)
	}
}
