package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestAmbiguousPathsAreRefused sends paths that two parsers can read differently, with a token for everything.
func TestAmbiguousPathsAreRefused(t *testing.T) {
	d := newDoor(t, "require /{rest...} book:{rest}:read\nrequire /{$} book:read")
	token := d.token("*")
	for _, target := range []string{
		"/books%2f1", "/books%2F1", "/books/..%2f1", "/books%5c1", "/books%5C..%5Cadmin", `/books\1`,
		"//books", "/books//1", "/books/1//", "/./books", "/books/.", "/books/..", "/../books", "/books/../admin",
		"/books/%2e/1", "/books/%2e%2e/admin", "/books/.%2E/admin", "/books;v=1", "/books/..;/admin", "/books%3bv=1",
		"/books%00", "/books/1%00.txt", "/books%0a", "/books%0d%0aX-Client-Id:%20admin", "/books%7f", "/books%3fx=1", "/books%23",
		"/books/%252e%252e", "/books%252f1", "/books/%ff", "/books/%c0%ae%c0%ae/admin",
		"http://x//books", "http://x/books/../admin",
	} {
		t.Run(target, func(t *testing.T) {
			got := d.askRaw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\n\r\n")
			if got.status != http.StatusBadRequest {
				t.Errorf("%d %s", got.status, got.body)
			}
			if got.reason() != "ambiguous_path" || !strings.HasPrefix(got.challenge(), `Bearer error="invalid_request"`) {
				t.Errorf("%s, %q", got.body, got.challenge())
			}
			if seen := d.upstream.taken(); len(seen) > 0 {
				t.Errorf("the upstream was asked %s", seen[0].RequestURI)
			}
		})
	}
	t.Run("without a token", func(t *testing.T) {
		if got := d.askRaw("GET /books//1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); got.status != http.StatusBadRequest {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

// TestRequestTargetsThatAreNoPath: Caddy or the door refuses them.
func TestRequestTargetsThatAreNoPath(t *testing.T) {
	d := newDoor(t, "")
	token := d.token("*")
	for _, line := range []string{
		"OPTIONS *", "GET *", "GET books", "CONNECT x:443", "GET /bo oks", "GET /%zz", "GET /%2", "GET /a\x01b", "GET mailto:x",
	} {
		got := d.askRaw(line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\n\r\n")
		// net/http answers OPTIONS * itself
		if got.status < 400 && line != "OPTIONS *" {
			t.Errorf("%q: %d %s", line, got.status, got.body)
		}
		if seen := d.upstream.taken(); len(seen) > 0 {
			t.Errorf("%q: the upstream was asked %s", line, seen[0].RequestURI)
		}
	}
}

func TestOrdinaryPathsReachTheUpstreamAsTheyAre(t *testing.T) {
	d := newDoor(t, "")
	token := d.token("*")
	for _, target := range []string{
		"/", "/books", "/books/", "/books/a%20b", "/books/1.2", "/.well-known/x", "/books/%C3%A9", "/books/a:b@c,d=e+f~!$'()", "/books/%2A",
		"/books?x=//..%2f;%00&y", "/books/100%25", "/books/...", "/books?", "/a[1]",
	} {
		got := d.askRaw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\n\r\n")
		if got.status != http.StatusOK {
			t.Errorf("%s: %d %s", target, got.status, got.body)
			continue
		}
		if seen := d.upstream.taken(); seen[0].RequestURI != target {
			t.Errorf("%s arrives as %s", target, seen[0].RequestURI)
		}
	}
}
