package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// bigNumber is base64url of a number with that many bits.
func bigNumber(bits int) string { return "g" + strings.Repeat("A", (bits/8*8+5)/6-2) + "Q" }

// TestBadKeysOfARemoteIssuer: while an issuer publishes bad keys, the former keys stay in use, and the log says whose keys
// are bad and why.
func TestBadKeysOfARemoteIssuer(t *testing.T) {
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	set := func(keys ...string) http.HandlerFunc { return body(`{"keys":[` + strings.Join(keys, ",") + `]}`) }
	other := servertest.StartIssuer(t)
	good := strings.TrimSuffix(strings.TrimPrefix(string(other.JWKS()), `{"keys":[`), "]}")
	rsa := func(bits int) string {
		return fmt.Sprintf(`{"kty":"RSA","kid":"bad","alg":"RS256","e":"AQAB","n":%q}`, bigNumber(bits))
	}
	cases := map[string]struct {
		answer http.HandlerFunc
		why    string
	}{
		"HTML":             {body("<!doctype html><title>Log in</title>"), "not one JSON object with an array of keys"},
		"nothing":          {body(""), "not one JSON object"},
		"no keys":          {set(), "it holds no usable key"},
		"5 MB":             {body(`{"keys":[` + good + `],"x":"` + strings.Repeat("x", 5<<20) + `"}`), "more than 262144 bytes"},
		"cut off":          {body(`{"keys":[` + good), "not one JSON object"},
		"to another place": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/jwks", http.StatusFound) }, "redirected to another origin"},
		"an error page":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, "status 403"},
		"keys twice":       {body(`{"keys":[` + good + `],"keys":[]}`), "not one JSON object with an array of keys"},
		"RSA-1024":         {set(rsa(1024)), "RSA modulus must have 2048 to 8192 bits"},
		"RSA-16384":        {set(rsa(16384)), "RSA modulus must have 2048 to 8192 bits"},
		"a private key":    {set(strings.Replace(good, "{", `{"d":"hunter2",`, 1)), "treat it as compromised"},
		"an oct key":       {set(`{"kty":"oct","kid":"bad","alg":"HS256","k":"aHVudGVyMg"}`), "treat it as compromised"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, "")
			raw := d.token("book:read")
			if got := d.ask("GET", "/", bearer(raw)); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			d.issuer.Publish(c.answer)
			for _, kid := range []string{"bad", "good"} { // the first has the keys fetched
				unknown := d.issuer.Sign(d.issuer.Claims(doorAudience, "", nil), map[string]any{"kid": kid})
				if got := d.ask("GET", "/", bearer(unknown)); got.status != http.StatusServiceUnavailable || got.reason() != "no_keys" {
					t.Errorf("by a key of which nothing is told: %d %s", got.status, got.body)
				}
			}
			for _, text := range []string{raw, d.token("book:edit")} { // remembered, and new
				if got := d.ask("GET", "/", bearer(text)); got.status != http.StatusOK {
					t.Errorf("by the good key: %d %s", got.status, got.body)
				}
			}
			told := ""
			for _, line := range d.LogLines("m2m") {
				if line["issuer"] == d.issuer.URL && (line["level"] == "error" || line["level"] == "warn") {
					told += fmt.Sprintln(line["msg"], line["error"])
				}
			}
			if !strings.Contains(told, c.why) || !strings.Contains(told, "keys of a remote issuer cannot be refreshed") {
				t.Errorf("the log does not say %q: %s", c.why, told)
			}
			for _, secret := range []string{"hunter2", "aHVudGVyMg", "Log in"} {
				if strings.Contains(d.Log(), secret) {
					t.Errorf("the log shows %q", secret)
				}
			}
		})
	}
}

// TestBadKeysBesideGoodOnes: the good keys are used, and the log says why the bad keys are not.
func TestBadKeysBesideGoodOnes(t *testing.T) {
	d := newDoor(t, "")
	d.issuer.Publish(func(w http.ResponseWriter, _ *http.Request) {
		bad := fmt.Sprintf(`{"kty":"AKP","alg":"ML-DSA-44","kid":"pq","pub":"AAAA"},{"kty":"oct","kid":"s","k":"aHVudGVyMg"},`+
			`{"kty":"RSA","kid":"huge","e":"AQAB","n":%q},7,`, bigNumber(16384))
		_, _ = io.WriteString(w, strings.Replace(string(d.issuer.JWKS()), "[", "["+bad, 1))
	})
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	before := d.issuer.Fetches()
	unknown := d.issuer.Sign(d.issuer.Claims(doorAudience, "", nil), map[string]any{"kid": "unheard-of"})
	if got := d.ask("GET", "/", bearer(unknown)); got.reason() != "unknown_key" || d.issuer.Fetches() == before {
		t.Errorf("the keys were not fetched again: %d %s", got.status, got.body)
	}
	left := 0
	for _, line := range d.LogLines("m2m") {
		if line["msg"] == "a key of a remote issuer is left out" && line["issuer"] == d.issuer.URL {
			left++
		}
	}
	if left != 4 {
		t.Errorf("%d keys are said to be left out, want 4", left)
	}
	hmac := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(d.issuer.Claims(doorAudience, "", nil)))
	hmac.Header["kid"], hmac.Header["typ"] = "s", token.AccessTokenType
	signed, err := hmac.SignedString([]byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.ask("GET", "/", bearer(signed)); got.reason() != "wrong_algorithm" {
		t.Errorf("by the symmetric key: %d %s", got.status, got.body)
	}
}

// TestOddKeySetsOfRemoteIssuers: a set whose keys share a kid, have none, or name no algorithm verifies tokens.
func TestOddKeySetsOfRemoteIssuers(t *testing.T) {
	d := newDoor(t, "")
	key := strings.TrimSuffix(strings.TrimPrefix(string(d.issuer.JWKS()), `{"keys":[`), "]}")
	_, kid := d.issuer.Key()
	other := strings.Replace(string(servertest.StartIssuer(t).JWKS()), `{"keys":[`, "", 1)
	other = strings.TrimSuffix(other, "]}")
	encryption := fmt.Sprintf(`{"kty":"RSA","kid":%q,"use":"enc","alg":"RSA-OAEP","e":"AQAB","n":%q}`, kid, bigNumber(2048))
	unnamed := strings.Replace(key, fmt.Sprintf(`"kid":%q,`, kid), "", 1)
	if unnamed == key {
		t.Fatalf("no kid in %s", key)
	}
	no := map[string]any{"kid": nil}
	for name, c := range map[string]struct {
		keys   []string
		header map[string]any
	}{
		"a key for encryption under its kid": {[]string{encryption, key}, nil},
		"the key twice":                      {[]string{key, strings.Replace(key, `"use":"sig",`, "", 1)}, nil},
		"an RSA key under its kid":           {[]string{strings.Replace(encryption, `"use":"enc","alg":"RSA-OAEP",`, "", 1), key}, nil},
		"no kid in the set":                  {[]string{unnamed}, nil},
		"no kid in the set and the token":    {[]string{unnamed}, no},
		"no kid in the token":                {[]string{other, key}, no},
		"no alg":                             {[]string{strings.Replace(key, `"alg":"ES256",`, "", 1)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := servertest.StartIssuer(t)
			issuer.Publish(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"keys":[`+strings.Join(c.keys, ",")+`]}`)
			})
			if err := d.Load(strings.ReplaceAll(d.caddyfile, d.issuer.URL, issuer.URL)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				raw := d.issuer.Sign(d.issuer.Claims(doorAudience, "", map[string]any{"iss": issuer.URL}), c.header)
				if got := d.ask("GET", "/", bearer(raw)); got.status != http.StatusOK {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
			forged := issuer.Sign(issuer.Claims(doorAudience, "", nil), map[string]any{"kid": kid})
			if got := d.ask("GET", "/", bearer(forged)); got.reason() != "bad_signature" {
				t.Errorf("by another key: %d %s", got.status, got.body)
			}
		})
	}
}

// TestKeysWithoutKidRotate: a token without a kid has new keys fetched when no known key verifies it, and not too often.
func TestKeysWithoutKidRotate(t *testing.T) {
	d := newDoor(t, "")
	no := map[string]any{"kid": nil}
	d.issuer.Publish(func(w http.ResponseWriter, _ *http.Request) {
		_, kid := d.issuer.Key()
		_, _ = io.WriteString(w, strings.ReplaceAll(string(d.issuer.JWKS()), fmt.Sprintf(`"kid":%q,`, kid), ""))
	})
	ask := func() answer {
		return d.ask("GET", "/", bearer(d.issuer.Sign(d.issuer.Claims(doorAudience, "", nil), no)))
	}
	if got := ask(); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	d.issuer.Rotate()
	if got := ask(); got.status != http.StatusOK {
		t.Errorf("by the new key: %d %s", got.status, got.body)
	}
	before, stranger := d.issuer.Fetches(), servertest.StartIssuer(t)
	for range 5 {
		raw := stranger.Sign(stranger.Claims(doorAudience, "", map[string]any{"iss": d.issuer.URL}), no)
		if got := d.ask("GET", "/", bearer(raw)); got.reason() != "bad_signature" {
			t.Errorf("by no key of the issuer: %d %s", got.status, got.body)
		}
	}
	if n := d.issuer.Fetches() - before; n != 0 {
		t.Errorf("they made %d requests", n)
	}
}

// TestMetricsOfRemoteKeys: fetched keys have an age, and keys that cannot be fetched are unhealthy.
func TestMetricsOfRemoteKeys(t *testing.T) {
	servertest.SkipUnlessLong(t)
	d := newDoorSite(t, doorSite("route {\nmetrics /metrics\nm2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\nrespond ok\n}"))
	metric := func(series string) string {
		for line := range strings.Lines(d.ask("GET", "/metrics", nil).body) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), "caddy_m2m_"+series+" "); ok {
				return value
			}
		}
		return ""
	}
	age := fmt.Sprintf("remote_keys_age_seconds{issuer=%q}", d.issuer.URL)
	healthy := fmt.Sprintf(`reload_healthy{issuer=%q,kind="remote_keys"}`, d.issuer.URL)
	if metric(age) != "" || metric(healthy) != "1" {
		t.Errorf("before any token: age %q, healthy %q", metric(age), metric(healthy))
	}
	d.issuer.SetDown(true)
	d.ask("GET", "/", bearer(d.token("")))
	servertest.Eventually(t, "they are unhealthy", func() bool { return metric(healthy) == "0" && metric(age) == "" })
	d.issuer.SetDown(false)
	servertest.Eventually(t, "they are healthy", func() bool {
		d.ask("GET", "/", bearer(d.token("")))
		return metric(healthy) == "1" && metric(age) != ""
	})
	first := metric(age)
	time.Sleep(10 * time.Millisecond)
	servertest.Eventually(t, "they grow older", func() bool { return metric(age) != first })
}
