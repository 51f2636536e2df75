package credential

import (
	"strings"
	"testing"
	"time"
)

const (
	madeUpToken  = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	madeUpSecret = "m2m_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
)

func TestMask(t *testing.T) {
	encoded := strings.NewReplacer("e", "%65", "m", "%6d", ".", "%2E").Replace
	for text, want := range map[string]string{
		"":                        "",
		"book:read film:1.2:read": "book:read film:1.2:read",
		"192.0.2.1":               "192.0.2.1",
		"keyed.values.here":       "keyed.values.here",
		"eyJ.a":                   "eyJ.a",
		"m2m_issuer and M2M_AUTH": "m2m_issuer and M2M_AUTH",
		"100% of 50%2":            "100% of 50%2",

		strings.ToLower(madeUpToken) + ".example.com": "[token]",
		strings.ToUpper(madeUpToken):                  "[token]",
		"eyjafjoll.example.com":                       "eyjafjoll.example.com",

		madeUpToken:                                                             "[token]",
		"book:" + madeUpToken + ":read":                                         "book:[token]:read",
		"keyed." + madeUpToken:                                                  "keyed.[token]",
		"x" + madeUpToken + " and " + madeUpToken:                               "x[token] and [token]",
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.":                                  "[token]",
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0":                                   "[token]",
		"eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn":                                 "[token]",
		"eyJhbGciOiJFUzI1NiJ9..c2ln":                                            "[token]",
		"ewogImFsZyI6IkVTMjU2In0.eyJzdWIiOiJhIn0.c2ln":                          "[token]", // "{\n "
		"IHsiYWxnIjoiRVMyNTYifQ.eyJzdWIiOiJhIn0.c2ln":                           "[token]", // " {"
		"eyJhbGciOiJFUzI1NiJ9==.eyJzdWIiOiJhIn0=.c2ln= x":                       "[token] x",
		madeUpToken + "~WyJhIiwiYiJd~":                                          "[token]",
		encoded(madeUpToken) + "/x":                                             "[token]/x",
		strings.ReplaceAll(encoded(madeUpToken), "%", "%25"):                    "[token]",
		"a%2Fb/" + madeUpToken + "/%20":                                         "a%2Fb/[token]/%20",
		madeUpSecret:                                                            "[secret]",
		"key=" + madeUpSecret + "!":                                             "key=[secret]!",
		strings.ToLower(madeUpSecret) + ".example.com":                          "[secret].example.com",
		strings.ToUpper(madeUpSecret):                                           "[secret]",
		"a_b_" + madeUpSecret[:50]:                                              "a_b_[secret]",
		encoded(madeUpSecret):                                                   "[secret]",
		"Basic ZGVtbzpodW50ZXIy":                                                "Basic [secret]",
		"x: bearer  0123abcd":                                                   "x: bearer  [token]",
		"Bearer+0123abcd%20Bearer%200123abcd":                                   "Bearer+[token]%20Bearer%20[token]",
		"Bearer authentication":                                                 "Bearer authentication",
		`Bearer resource_metadata="https://x/", Basic realm="token endpoint"`:   `Bearer resource_metadata="https://x/", Basic realm="token endpoint"`,
		"malformed Basic credentials":                                           "malformed Basic credentials",
		`fetching "https://a:hunter2@example.com/?token=abc&x": 401, token=abc`: `fetching "https://a:[secret]@example.com/?token=[token]&x": 401, token=abc`,
		`{"kty":"EC","d":"0123456789abcdefghij"}`:                               `{"kty":"EC","d":"[secret]"}`,
		`{\"k\" : \"0123456789abcdefghij\"}`:                                    `{\"k\" : \"[secret]\"}`,
		"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----.":    "[secret].",
		"-----BEGIN PRIVATE KEY-----\nMHc":                                      "[secret]",
	} {
		if got := Mask(text); got != want {
			t.Errorf("%q is masked as %q, want %q", text, got, want)
		}
		if got := Contains(text); got != (text != want) {
			t.Errorf("%q: Contains is %v", text, got)
		}
	}
}

func TestMaskURI(t *testing.T) {
	for uri, want := range map[string]string{
		"/books?limit=10&sort=title":                                "/books?limit=10&sort=title",
		"/books?page_token=abc&nextToken=d":                         "/books?page_token=abc&nextToken=d",
		"/a?token=":                                                 "/a?token=",
		"/a?client_secret=hunter2&x=1":                              "/a?client_secret=[secret]&x=1",
		"/a?x=1;CLIENT%5FSECRET=hunter2":                            "/a?x=1;CLIENT%5FSECRET=[secret]",
		"/a?cl%2569ent-secret=hunter2":                              "/a?cl%2569ent-secret=[secret]",
		"/a?user[password]=a/b%26c":                                 "/a?user[password]=[secret]",
		"/a;access_token=abc":                                       "/a;access_token=[token]",
		"/a?back=https%3A%2F%2Fx%2F%3Faccess_token%3Dabc%26y%3D1&z": "/a?back=https%3A%2F%2Fx%2F%3Faccess_token%3D[token]%26y%3D1&z",
		"/a/" + madeUpToken + "?" + madeUpSecret + "=1":             "/a/[token]?[secret]=1",
		"https://me:hunter2@example.com/?ID_Token=abc#x":            "https://me:[secret]@example.com/?ID_Token=[token]#x",
		"a=b, api-key=abc, c":                                       "a=b, api-key=[secret], c",
		"/a?%zz&password=abc":                                       "/a?%zz&password=[secret]",
		longPath + "%3Fpassword=abc&d=e":                            longPath + "%3Fpassword=[secret]",
		longPath + "%253Fpassword=abc%26d=e":                        longPath + "%253Fpassword=[secret]",
		longPath + "/" + encodeTwice(madeUpToken) + "?password=abc": longPath + "/[secret]",
		// what is around a mask may look like a credential: it must not hide the rest
		"/a?u=://x/?b" + madeUpToken + "!=c&d=e":             "/a?u=://x/?b[token]!=[token]&d=e",
		"/a?u=://x/" + madeUpToken + ":%3D":                  "/a?u=://x/[token]:%3D",
		"/a?u=://x/b" + madeUpToken + "!%3Dc&e=f":            "/a?u=://x/b[token]!%3D[token]&e=f",
		"/a/Bearer %20+secret%3D%3dBearer dpop%20/b?c=d&e=f": "/a/Bearer %20[token][secret] dpop%20/b?c=d&e=f",
	} {
		if got := MaskURI(uri); got != want {
			t.Errorf("%q is masked as %q, want %q", uri, got, want)
		}
		if got := MaskURI(want); got != want {
			t.Errorf("%q, which is masked, is masked as %q", want, got)
		}
	}
}

var longPath = "/" + strings.Repeat("a", maxTracked)

// TestLongTexts: the time that masking takes grows with the length of the text, and not with its square. A header may be
// a megabyte long. A text of 32 times the length takes some 32 times as
// long for the first, and 1024 for the second.
func TestLongTexts(t *testing.T) {
	for _, unit := range []string{"eyey", "ewew", "eyJ9", "eyJ9.", "eyJ9 ", "=", "a=", "token=", "://", "://a:b@", "Bearer ", "m2m_", "%6", "%65", "\"d\":", "-----BEGIN PRIVATE KEY-----", "_"} {
		short, long := maskTime(unit, 8<<10), maskTime(unit, 256<<10)
		if ratio := float64(long) / float64(short); ratio > 250 {
			t.Errorf("%q: a text of 32 times the length takes %.0f times as long", unit, ratio)
		}
	}
}

// maskTime returns the shortest of the times that masking a text of units took.
func maskTime(unit string, length int) time.Duration {
	text, shortest := strings.Repeat(unit, length/len(unit))+".", time.Hour
	for range 4 {
		start := time.Now()
		MaskURI(text)
		shortest = min(shortest, time.Since(start))
	}
	return shortest
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"client_secret": true, "X-Api-Key": true, "DPoP": true, "X-Amz-Security-Token": true, "X-Forwarded-Authorization": true, "ASSERTION": true,
		"Idempotency-Key": false, "Sec-Websocket-Key": false, "keyword": false, "author": false, "": false, strings.Repeat("a", 1000) + "secret": true,
	} {
		if IsName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// FuzzMask plants credentials in any text, and finds them.
func FuzzMask(f *testing.F) {
	for _, text := range []string{"", "book:", "eyJ", "ey", "m2m_", "%", "%6", "a.", "=", "https://a:b@c/?token=", "Bearer ", "\"d\":\"", "-----BEGIN ", "\xff"} {
		f.Add(text, text, uint8(0))
		f.Add(text, "", uint8(1))
		f.Add("", text, uint8(2))
	}
	f.Fuzz(func(t *testing.T, before, after string, form uint8) {
		for _, planted := range []string{madeUpToken, madeUpSecret} {
			tail := planted[len(planted)-8:]
			switch form % 3 {
			case 1:
				planted = encodeAll(planted)
			case 2:
				planted = encodeTwice(planted)
			}
			text := before + planted + after
			if len(before)+len(after) > 4<<10 {
				return
			}
			for _, masked := range []string{Mask(text), MaskURI(text)} {
				if strings.Contains(text, planted) && masked == text || Contains(masked) {
					t.Errorf("%q is masked as %q", text, masked)
				}
				if !strings.Contains(before+after, tail) && strings.Contains(decodeAll(masked), tail) {
					t.Errorf("%q is masked as %q, which shows %q", text, masked, tail)
				}
			}
		}
	})
}

func encodeAll(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteString("%" + string("0123456789ABCDEF"[text[i]>>4]) + string("0123456789abcdef"[text[i]&15]))
	}
	return b.String()
}

func encodeTwice(text string) string { return strings.ReplaceAll(encodeAll(text), "%", "%25") }

func decodeAll(text string) string {
	for range decodings {
		text, _, _ = decode(text, nil, false)
	}
	return text
}

func BenchmarkMaskURIOfWhatHasNone(b *testing.B) {
	for b.Loop() {
		MaskURI("/books/42?limit=10&sort=title.asc")
		MaskURI("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36")
		MaskURI("gzip, deflate, br")
	}
}
