package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// feedAnswer is an answer of the feed.
type feedAnswer struct {
	status int
	header http.Header
	body   string
	claims jwt.MapClaims
}

// feedAt asks an issuer for its feed, and verifies it as any JOSE library would.
func feedAt(t testing.TB, issuer, query string, header ...string) feedAnswer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/oauth2/revocations"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(header); n += 2 {
		request.Header.Set(header[n], header[n+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	a := feedAnswer{response.StatusCode, response.Header, servertest.Body(t, response), jwt.MapClaims{}}
	if a.status != http.StatusOK {
		return a
	}
	jwks, err := http.Get(issuer + "/oauth2/jwks")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyfunc.NewJWKSetJSON([]byte(servertest.Body(t, jwks)))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseWithClaims(a.body, a.claims, keys.Keyfunc, jwt.WithIssuer(issuer), jwt.WithIssuedAt())
	if err != nil {
		t.Fatalf("verifying the feed: %v", err)
	}
	if parsed.Header["typ"] != "m2m-revocations+jwt" || a.header.Get("Content-Type") != "application/m2m-revocations+jwt" ||
		a.header.Get("Cache-Control") != "public, max-age=2" || a.header.Get("ETag") == "" {
		t.Errorf("header %v of %v", parsed.Header, a.header)
	}
	return a
}

func (a feedAnswer) has(member, name string) bool {
	_, ok := a.claims[member].(map[string]any)[name]
	return ok
}

func (a feedAnswer) number(name string) int64 { return int64(a.claims[name].(float64)) }

func TestFeed(t *testing.T) {
	w := startAdmin(t)
	w.book()
	empty := feedAt(t, w.issuer, "")
	now := time.Now().Unix()
	if fmt.Sprint(empty.claims["tokens"], empty.claims["clients"], empty.claims["keys"]) != "map[] map[] map[]" || empty.number("since") != 0 ||
		empty.number("as_of") < now-10 || empty.number("as_of") > empty.number("iat") || empty.number("iat") > now {
		t.Errorf("of nothing: %v", empty.claims)
	}
	if a := feedAt(t, w.issuer, "", "If-None-Match", empty.header.Get("ETag")); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("the same again: %d %q", a.status, a.body)
	}
	w.want(201, "POST", "/m2m/revocations", `{"jti": "A"}`)
	w.want(201, "POST", "/m2m/revocations", `{"client_id": "ci-bot"}`)
	var full feedAnswer
	servertest.Eventually(t, "the feed has both", func() bool {
		full = feedAt(t, w.issuer, "", "If-None-Match", empty.header.Get("ETag"))
		return full.status == 200 && full.has("tokens", digestOf("A")) && full.has("clients", digestOf("ci-bot"))
	})
	if strings.Contains(fmt.Sprint(full.claims), "ci-bot") {
		t.Errorf("a client is named: %v", full.claims)
	}
	client := full.claims["clients"].(map[string]any)[digestOf("ci-bot")].(map[string]any)
	if before := int64(client["before"].(float64)); before < now || before > time.Now().Unix() || int64(client["exp"].(float64)) != before+86400 {
		t.Errorf("the client is %v", client)
	}
	// this process has not run for long, so whatever one asks for since when is everything
	for _, query := range []string{"?since=0", "?since=1", fmt.Sprint("?since=", now), fmt.Sprint("?since=", now+1000), "?since=1099511627775"} {
		if a := feedAt(t, w.issuer, query); a.number("since") != 0 || !a.has("tokens", digestOf("A")) {
			t.Errorf("%s: %v", query, a.claims)
		}
	}
	// and it is made once for all of them
	servertest.Eventually(t, "both clients get the same feed", func() bool {
		etags := make(map[string]bool)
		for ago := int64(0); ago < 600; ago += 60 {
			etags[feedAt(t, w.issuer, fmt.Sprint("?since=", now-ago)).header.Get("ETag")] = true
		}
		return len(etags) == 1
	})
	for _, query := range []string{"?trace=1", "?since=0&trace=%zz", "?trace=1;2&since=0&trace=2"} { // others are ignored
		if a := feedAt(t, w.issuer, query); a.status != http.StatusOK || !a.has("tokens", digestOf("A")) {
			t.Errorf("%s: %d %v", query, a.status, a.claims)
		}
	}
	for _, query := range []string{"?since=", "?since=now", "?since=-1", "?since=1e3", "?since=9999999999999999", "?since=%zz", "?since=1;x=1", "?since=1&since=2"} {
		if a := feedAt(t, w.issuer, query); a.status != http.StatusBadRequest || !strings.Contains(a.body, "invalid_request") {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	response, err := http.Post(w.issuer+"/oauth2/revocations", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if body := servertest.Body(t, response); response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("POST: %d %s", response.StatusCode, body)
	}
}

// TestFeedOfAKeyThatHasLeaked: the feed names the key, and is signed with the new one.
func TestFeedOfAKeyThatHasLeaked(t *testing.T) {
	w := startAdmin(t)
	w.book()
	leaked := w.want(200, "GET", "/m2m/status", "").field("issuers", 0, "keys", "active")
	if a := feedAt(t, w.issuer, ""); a.has("keys", leaked) {
		t.Errorf("a good key is revoked: %v", a.claims)
	}
	w.want(201, "POST", "/m2m/keys/rotate", `{"now": true, "reason": "leaked"}`)
	servertest.Eventually(t, "the feed names the key", func() bool {
		response, err := http.Get(w.issuer + "/oauth2/revocations") // the last one may still be signed with the former key
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := jwt.NewParser().ParseUnverified(servertest.Body(t, response), jwt.MapClaims{})
		return err == nil && signed.Header["kid"] != leaked
	})
	if a := feedAt(t, w.issuer, ""); !a.has("keys", leaked) {
		t.Errorf("the key is not revoked: %v", a.claims)
	}
}

// TestFeedSaysAsOfWhen: a node that has lost its storage does not claim to know what others revoke.
func TestFeedSaysAsOfWhen(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startIntrospection(t)
	w.FailStorage("List")
	lost := time.Now().Unix()
	var last feedAnswer
	servertest.Eventually(t, "a later feed is made", func() bool {
		last = feedAt(t, w.url, "")
		return last.number("iat") > lost+3
	})
	if last.number("as_of") > lost {
		t.Errorf("%d seconds after the loss it speaks as of %d seconds after it", last.number("iat")-lost, last.number("as_of")-lost)
	}
	w.FailStorage("")
	servertest.Eventually(t, "it catches up", func() bool { return feedAt(t, w.url, "").number("as_of") > lost+3 })
}

// TestFeedInAFlood: while tokens are revoked and many clients read the feed, it loses no revocation.
func TestFeedInAFlood(t *testing.T) {
	w := startIntrospection(t)
	done := make(chan struct{})
	defer close(done)
	for range 4 {
		go func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if response, err := http.Get(w.url + "/oauth2/revocations"); err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}
		}()
	}
	var ids []string
	for range 40 {
		raw := w.token("careful")
		ids = append(ids, w.verified(raw)["jti"].(string))
		w.revoke("careful", raw)
	}
	servertest.Eventually(t, "the feed has them all", func() bool {
		feed := feedAt(t, w.url, "")
		for _, id := range ids {
			if !feed.has("tokens", digestOf(id)) {
				return false
			}
		}
		return true
	})
}
