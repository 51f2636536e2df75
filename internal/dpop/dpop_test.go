package dpop

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/once"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	testURL   = "https://api.example.com/books/1"
	testToken = "the.access.token"
)

var testKey = sync.OnceValue(func() *token.SigningKey {
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		panic(err)
	}
	return key
})

func testProof() token.Proof {
	return token.Proof{ID: token.NewID(), Method: "GET", URL: testURL, IssuedAt: testNow, TokenHash: TokenHash(testToken)}
}

func signed(tb testing.TB, p token.Proof) string {
	tb.Helper()
	raw, err := testKey().SignProof(p)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func testRequest() Request {
	return Request{Method: "GET", URLs: []string{testURL + "?page=2"}, Token: testToken}
}

func testChecker(at time.Time) *Checker {
	return &Checker{Used: once.New(1 << 10), Now: func() time.Time { return at }}
}

// check opens and uses a proof.
func check(c *Checker, raw string, r Request) error {
	p, err := c.Open(raw, r)
	if err == nil {
		err = p.Use("ci-bot")
	}
	return err
}

// reasonOf returns the reason of an error, "" if there is none.
func reasonOf(err error) string {
	var refused *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.Reason
	}
	return err.Error()
}

func TestProofsForARequest(t *testing.T) {
	later := func(d time.Duration) func(*token.Proof) {
		return func(p *token.Proof) { p.IssuedAt = testNow.Add(d) }
	}
	for name, test := range map[string]struct {
		change func(*token.Proof)
		want   string
	}{
		"as it should be":               {func(*token.Proof) {}, ""},
		"another method":                {func(p *token.Proof) { p.Method = "POST" }, "wrong_method"},
		"another case":                  {func(p *token.Proof) { p.Method = "get" }, "wrong_method"},
		"another URL":                   {func(p *token.Proof) { p.URL += "1" }, "wrong_url"},
		"another token":                 {func(p *token.Proof) { p.TokenHash = TokenHash("another") }, "wrong_token"},
		"no ath":                        {func(p *token.Proof) { p.TokenHash = "" }, "wrong_token"},
		"a nonce that is not asked for": {func(p *token.Proof) { p.Nonce = "x" }, ""},
		"just in time":                  {later(-MaxAge - Leeway + time.Second), ""},
		"too old":                       {later(-MaxAge - Leeway), "expired"},
		"years old":                     {later(-100000 * time.Hour), "expired"},
		"a little early":                {later(Leeway), ""},
		"too early":                     {later(Leeway + time.Second), "not_yet_valid"},
		"years ahead":                   {later(100000 * time.Hour), "not_yet_valid"},
	} {
		p := testProof()
		test.change(&p)
		if got := reasonOf(check(testChecker(testNow), signed(t, p), testRequest())); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestURLsOfProofs(t *testing.T) {
	for _, test := range []struct {
		htu, url string
		same     bool
	}{
		{"https://api.example.com/books", "https://api.example.com/books", true},
		{"https://api.example.com/books", "https://api.example.com/books?x=1", true},
		{"https://api.example.com/books?x=2#y", "https://api.example.com/books?x=1", true},
		{"https://api.example.com/books#a?b", "https://api.example.com/books", true},
		{"HTTPS://API.example.com:443/books", "https://api.example.com/books", true},
		{"https://api.example.com/books", "https://API.EXAMPLE.COM:443/books", true},
		{"http://api.example.com:80/books", "http://api.example.com/books", true},
		{"https://api.example.com", "https://api.example.com/", true},
		{"https://api.example.com?x", "https://api.example.com/", true},
		{"https://api.example.com/%62ooks/%c3%a9", "https://api.example.com/books/%C3%A9", true},
		{"https://api.example.com/x/../books", "https://api.example.com/books", true},
		{"https://[::1]:443/", "https://[::1]/", true},
		{"http://api.example.com/books", "https://api.example.com/books", false},
		{"https://api.example.com:80/books", "https://api.example.com/books", false},
		{"https://api.example.com:8443/books", "https://api.example.com/books", false},
		{"https://api.example.com/books/", "https://api.example.com/books", false},
		{"https://api.example.com/Books", "https://api.example.com/books", false},
		{"https://api.example.com/a%2fb", "https://api.example.com/a/b", false},
		{"https://api.example.com//books", "https://api.example.com/books", false},
		{"https://api.example.org/books", "https://api.example.com/books", false},
		{"https://user@api.example.com/books", "https://api.example.com/books", false},
		{"https://api.example.com.example.org/books", "https://api.example.com/books", false},
		{"/books", "https://api.example.com/books", false},
		{"books", "https://api.example.com/books", false},
	} {
		if same := isOneOf(test.htu, []string{"https://other.example", test.url}); same != test.same {
			t.Errorf("%q for %q: %t", test.htu, test.url, same)
		}
	}
	if isOneOf(testURL, nil) {
		t.Error("no URL takes a proof")
	}
}

func TestRead(t *testing.T) {
	h := make(http.Header)
	if proof, err := Read(h); proof != "" || err != nil {
		t.Error(proof, err)
	}
	h.Set("DPoP", "x")
	if proof, err := Read(h); proof != "x" || err != nil {
		t.Error(proof, err)
	}
	h.Add("dpop", "x")
	if _, err := Read(h); reasonOf(err) != "several_proofs" {
		t.Error(err)
	}
	h.Set("DPoP", "")
	if _, err := Read(h); reasonOf(err) != "malformed" {
		t.Error(err)
	}
}

func TestProofIsUsedOnce(t *testing.T) {
	c, raw := testChecker(testNow), signed(t, testProof())
	if err := check(c, raw, testRequest()); err != nil {
		t.Fatal(err)
	}
	if err := check(c, raw, testRequest()); reasonOf(err) != "replayed" {
		t.Errorf("again: %v", err)
	}
	// The same jti with another signature of the same key, such as the other one that ECDSA allows.
	p := testProof()
	first, second := signed(t, p), signed(t, p)
	if first == second {
		t.Fatal("both signatures are equal")
	}
	if err := check(c, first, testRequest()); err != nil {
		t.Error(err)
	}
	if err := check(c, second, testRequest()); reasonOf(err) != "replayed" {
		t.Errorf("another signature: %v", err)
	}
}

// TestRefusedProofIsNotUsed: only a proof that is right is remembered, so no client can use up those of others.
func TestRefusedProofIsNotUsed(t *testing.T) {
	c, raw := testChecker(testNow), signed(t, testProof())
	parts := strings.Split(raw, ".")
	other := strings.Split(signed(t, testProof()), ".")
	if err := check(c, parts[0]+"."+parts[1]+"."+other[2], testRequest()); reasonOf(err) != "bad_signature" {
		t.Error(err)
	}
	if err := check(c, raw, testRequest()); err != nil {
		t.Error(err)
	}
}

func TestFullMemory(t *testing.T) {
	c := testChecker(testNow)
	c.Used = once.New(16)
	for range 100 {
		if err := check(c, signed(t, testProof()), testRequest()); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("never full")
}

// noncesOf returns the nonces of a key.
func noncesOf(key, label string) *Nonces {
	n := NewNonces(label)
	n.SetKey([]byte(key))
	return n
}

func TestNonces(t *testing.T) {
	now := testNow
	c := testChecker(now)
	c.Now = func() time.Time { return now }
	c.Nonces = noncesOf("0123456789abcdef", "https://auth.example.com")
	with := func(nonce string) error {
		p := testProof()
		p.Nonce, p.IssuedAt = nonce, testNow.Add(-1000*time.Hour) // the client's clock is wrong
		return check(c, signed(t, p), testRequest())
	}
	var asked *Error
	if err := with(""); !errors.As(err, &asked) || asked.Code != CodeUseNonce || asked.Nonce == "" {
		t.Fatalf("%v", err)
	}
	nonce := asked.Nonce
	if err := with(nonce); err != nil {
		t.Error(err)
	}
	if err := with(nonce); err != nil {
		t.Errorf("a nonce can be used several times: %v", err)
	}
	for name, wrong := range map[string]string{
		"made up": "x", "longer": nonce + "A", "a line break": nonce + "\n", "changed": nonce[:31] + "!", "another time": "B" + nonce[1:],
		"of another server": noncesOf("0123456789abcdef", "https://other.example").next(now),
		"of another key":    noncesOf("0123456789abcdeg", "https://auth.example.com").next(now),
		"of the future":     c.Nonces.next(now.Add(time.Hour)),
	} {
		err := with(wrong)
		if !errors.As(err, &asked) || asked.Code != CodeUseNonce && wrong != nonce+"\n" {
			t.Errorf("%s: %v", name, err)
		}
	}
	now = testNow.Add(nonceLifetime - time.Second)
	if err := with(nonce); err != nil {
		t.Errorf("just in time: %v", err)
	}
	now = testNow.Add(nonceLifetime)
	if err := with(nonce); reasonOf(err) != CodeUseNonce {
		t.Errorf("too old: %v", err)
	}
}

// TestNextNonce: a client learns of the next nonce before its own is too old.
func TestNextNonce(t *testing.T) {
	now := testNow
	c := testChecker(now)
	c.Now = func() time.Time { return now }
	c.Nonces = noncesOf("0123456789abcdef", "")
	first := c.Nonces.next(now)
	open := func(nonce string) *Proof {
		p := testProof()
		p.Nonce = nonce
		opened, err := c.Open(signed(t, p), testRequest())
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	if p := open(first); p.NextNonce != "" {
		t.Error("a new nonce at once")
	}
	now = now.Add(nonceLifetime/2 + time.Second)
	next := open(first).NextNonce
	if next == "" || next == first {
		t.Fatalf("%q", next)
	}
	now = now.Add(nonceLifetime / 2)
	open(next)
}

// TestProofWithANonceIsRememberedAsLongAsItIsAccepted, whatever its iat says.
func TestProofWithANonceIsRememberedAsLongAsItIsAccepted(t *testing.T) {
	now := testNow
	c := testChecker(now)
	c.Now = func() time.Time { return now }
	c.Nonces = noncesOf("0123456789abcdef", "")
	p := testProof()
	p.Nonce, p.IssuedAt = c.Nonces.next(now), testNow.Add(-time.Hour)
	raw := signed(t, p)
	if err := check(c, raw, testRequest()); err != nil {
		t.Fatal(err)
	}
	now = testNow.Add(nonceLifetime - time.Second)
	if err := check(c, raw, testRequest()); reasonOf(err) != "replayed" {
		t.Error(err)
	}
}

// TestNoCheckerTakesWhatAnotherHasTaken: checkers with one memory may have the same URL, or follow each other when the config is
// loaded again. A proof that one has taken is used for all, as long as any of them would take it.
func TestNoCheckerTakesWhatAnotherHasTaken(t *testing.T) {
	now := testNow
	plain, withNonces := testChecker(now), testChecker(now)
	plain.Now = func() time.Time { return now }
	withNonces.Now, withNonces.Used, withNonces.Nonces = plain.Now, plain.Used, noncesOf("0123456789abcdef", "")
	p := testProof()
	p.Nonce = withNonces.Nonces.next(now)
	raw := signed(t, p)
	if err := check(plain, raw, testRequest()); err != nil {
		t.Fatal(err)
	}
	for now = testNow; now.Before(testNow.Add(nonceLifetime)); now = now.Add(10 * time.Second) {
		_ = check(withNonces, signed(t, testProof()), testRequest()) // has the memory forget what it may
		if err := check(withNonces, raw, testRequest()); reasonOf(err) != "replayed" {
			t.Fatalf("after %s: %v", now.Sub(testNow), err)
		}
	}
}

func TestErrorsHaveNothingOfTheProof(t *testing.T) {
	for _, raw := range []string{"x", "a.b.c", signed(t, testProof()) + "x", strings.Repeat("secret", 1000)} {
		if err := check(testChecker(testNow), raw, testRequest()); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(signed(f, testProof()), "GET", testURL)
	f.Add("a.b.c", "", "://?#")
	f.Fuzz(func(t *testing.T, raw, method, url string) {
		c := testChecker(testNow)
		c.Nonces = noncesOf("0123456789abcdef", "")
		_, err := c.Open(raw, Request{Method: method, URLs: []string{url}, Token: testToken})
		if reasonOf(err) == "" || strings.ContainsAny(err.Error(), "\"\\\n\r") {
			t.Fatalf("%v", err)
		}
	})
}

// FuzzNonce: only the nonces of the server are accepted.
func FuzzNonce(f *testing.F) {
	nonces := noncesOf("0123456789abcdef", "")
	f.Add(nonces.next(testNow))
	f.Add("")
	f.Fuzz(func(t *testing.T, nonce string) {
		if made, ok := nonces.made(nonce, testNow); ok && nonces.next(made) != nonce {
			t.Fatalf("%q", nonce)
		}
	})
}

func FuzzURL(f *testing.F) {
	f.Add("https://api.example.com/books?x#y", testURL)
	f.Fuzz(func(t *testing.T, htu, url string) {
		if isOneOf(htu, []string{url}) != isOneOf(url, []string{htu}) {
			t.Fatalf("%q and %q", htu, url)
		}
	})
}

// BenchmarkCheck is what a door does for each request beside the check of the token.
func BenchmarkCheck(b *testing.B) {
	c, raw := testChecker(testNow), signed(b, testProof())
	b.ReportAllocs()
	for b.Loop() {
		c.Used = NewMemory(16)
		if err := check(c, raw, testRequest()); err != nil {
			b.Fatal(err)
		}
	}
}
