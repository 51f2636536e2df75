package registry

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

var chosen = []string{
	"CorrectHorseBatteryStaple", "correct-horse-battery-staple", "correct_horse_battery_staple_2024", "MyCompanySuperSecretKey2024",
	"AcmeBillingServiceProd2024!x", "ThisIsAVerySecretPasswordForProduction1", "please-change-this-secret-before-production",
	"NightlyImportClientSecret-Production-01", "supersecretpasswordsupersecretpassword", "change_me_change_me_change_me_now",
	"MeinGeheimesPasswortFuerDenServer2024", "Passw0rdPassw0rdPassw0rdPassw0rd", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"0123456789abcdef0123456789abcdef", "00000000000000000000000000000000000000000000", "abcdefghijklmnopqrstuvwxyzABCDEF", "qwertyuiopasdfghjklzxcvbnm123456",
	"deadbeefdeadbeefdeadbeefdeadbeef", "Summer2024!Summer2024!Summer2024!", "1234567890123456789012345678901234567890", "client-secret-for-the-book-api-client",
	"iloveyouiloveyouiloveyouiloveyou", "secret123secret123secret123", "00112233445566778899aabbccddeeff", "abcabcabcabcabcabcabcabcabcabc",
	"whatever-you-want-to-use-here", "insert-your-own-client-secret-here",
}

func TestImportedRefuses(t *testing.T) {
	for _, s := range append([]string{
		"", "hunter2", "s3cr3t", "correct horse battery staple is what I use", "8f14e45f-ceea-467f-9bd4-6b3b6d3f0a1c", "{8F14E45F-CEEA-467F-9BD4-6B3B6D3F0A1C}",
		"8f14e45fceea467f9bd46b3b6d3f0a1", // 31 hex digits
		"Zq3vT8xKp1LmWc9RfYh2B",           // 21 letters and digits
		"Zq3vT8xKp1LmWc9RfYh2B:7u", "Zq3vT8xKp1LmWc9RfYh2B%41u", "Zq3vT8xKp1LmWc9RfYh2B\n7u", "Zq3vT8xKp1LmWc9RfYh2Bé7u",
		"m2m_0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefg", strings.Repeat("Zq3vT8xKp1LmWc9RfYh2", 30),
	}, chosen...) {
		err := CheckImported(s)
		if err == nil {
			t.Errorf("%q is accepted", s)
		} else if len(s) > 8 && strings.Contains(err.Error(), s) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

// Each alphabet is that of a program whose secrets are imported, with the shortest length that has 128 bits.
func TestImportedAcceptsRandom(t *testing.T) {
	const base62, n = tenDigit + lower + upper, 5000
	for name, of := range map[string]struct {
		alphabet string
		length   int
	}{
		"hex":                      {tenDigit + lowerHex, 32},
		"upper hex":                {tenDigit + upperHex, 32},
		"40 hex (GitHub)":          {tenDigit + lowerHex, 40},
		"decimal":                  {tenDigit, 39},
		"base32":                   {"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 28},
		"lower (Cognito)":          {tenDigit + lower, 51},
		"lower, short":             {tenDigit + lower, 25},
		"letters":                  {lower, 28},
		"base62 (Keycloak)":        {base62, 32},
		"base62, short":            {base62, 23},
		"base64url (Auth0)":        {base62 + "-_", 64},
		"base64url, short":         {base62 + "-_", 23},
		"base64, 256 bits":         {base62 + "+/", 43},
		"Entra":                    {base62 + "~._-", 40},
		"printable (SAP)":          {base62 + "!#$&()*+,-./;<=>?@[]^_`{|}~", 44},
		"letters, upper and lower": {lower + upper, 23},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			refused := 0
			var last error
			for range n {
				var b strings.Builder
				for range of.length {
					b.WriteByte(of.alphabet[random.IntN(len(of.alphabet))])
				}
				if err := CheckImported(b.String()); err != nil {
					refused, last = refused+1, err
				}
			}
			// a short secret may lack a class of characters, and then counts as less
			if refused > n/200 {
				t.Errorf("%d of %d are refused, such as: %v", refused, n, last)
			}
		})
	}
}

// The flag is the operator's word that a hash is of a secret from elsewhere. Without it, and for a weak secret, the hash does
// nothing.
func TestAuthenticateImported(t *testing.T) {
	const foreign, other, weak = "Zq3vT8xKp1LmWc9RfYh2B7u", "8Zq3vT8xKp1LmWc9RfYh2B7u", "correct-horse-battery-staple"
	own := NewSecret()
	client := &Client{ID: "c", Secrets: []Secret{
		{ID: "foreign", SHA256: SumSecret(foreign), Imported: true},
		{ID: "no flag", SHA256: SumSecret(other)},
		{ID: "weak", SHA256: SumSecret(weak), Imported: true},
		{ID: "own", SHA256: SumSecret(own)},
	}}
	for secret, want := range map[string]string{foreign: "foreign", own: "own", other: "", weak: "", foreign + "\n": "", HashSecret(foreign): "", NewSecret(): ""} {
		if _, id, _ := client.Authenticate(secret, time.Now()); id != want {
			t.Errorf("%s authenticates as %q, not %q", secret, id, want)
		}
	}
	client.Secrets[3].Imported = true
	if _, id, _ := client.Authenticate(own, time.Now()); id != "" {
		t.Errorf("a secret of this program works as %q, although its entry says that it is another's", id)
	}
}

func TestImportedIsStored(t *testing.T) {
	client := &Client{ID: "c", Secrets: []Secret{ImportedSecret("Zq3vT8xKp1LmWc9RfYh2B7u"), ImportedSecret(NewSecret())}}
	data, err := client.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeClient("c", data)
	if err != nil || !again.Secrets[0].Imported || again.Secrets[1].Imported {
		t.Errorf("%s is read as %+v, %v", data, again, err)
	}
}

func TestCheckImportOfClient(t *testing.T) {
	if err := CheckImport("Zq3vT8xKp1LmWc9RfYh2B7u-CI-BOT", "ci-bot"); err == nil {
		t.Error("a secret that contains the client's id is accepted")
	}
	if err := CheckImport(NewSecret(), "ci-bot"); err != nil {
		t.Error(err)
	}
}

// A registry file has only the hash, so the secret is checked when it is used.
func TestAuthenticateRefusesImportedWithID(t *testing.T) {
	const secret = "Zq3vT8xKp1LmWc9RfYh2B7u-CI-BOT"
	for id, want := range map[string]error{"ci-bot": &Refusal{MalformedSecret, "ci-bot"}, "other": nil} {
		client := &Client{ID: id, Secrets: []Secret{ImportedSecret(secret)}}
		_, _, err := client.Authenticate(secret, time.Now())
		if want == nil && err != nil || want != nil && !reflect.DeepEqual(err, want) {
			t.Errorf("%s: %#v", id, err)
		}
	}
}

func BenchmarkCheckImported(b *testing.B) {
	for name, s := range map[string]string{"43": "Zq3vT8xKp1LmWc9RfYh2B7uZq8vT3xKp2LmWd9RfXh1", "512": strings.Repeat("Zq3vT8xKp1LmWc9RfYh2B7uZq8vT3xKp", 16)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = CheckImported(s)
			}
		})
	}
}
