package door

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func described(f ForwardAuth, header http.Header) (*http.Request, string) {
	r := httptest.NewRequest(http.MethodGet, "http://door.internal/asked?x=1", nil)
	r.Header = header
	return r, f.describe(r)
}

// TestForwardAuthReadsTheRequest checks that the method, the host and the target are, byte for byte, those that the proxy sent.
func TestForwardAuthReadsTheRequest(t *testing.T) {
	for _, target := range []string{
		"/", "/books/1", "/books/1?a=%2F&b=c;d", "/books/%C3%A9", "/books/a%20b", "/books/%2E%2E/admin", "/books/1%2Fedit", "//admin", "/a;b", "/a?", "/books/!$&'()*+,;=:@~",
	} {
		for f, header := range map[ForwardAuth]http.Header{
			xForwarded: {"X-Forwarded-Method": {"PUT"}, "X-Forwarded-Host": {"api.example.com:8443"}, "X-Forwarded-Uri": {target}},
			xOriginal:  {"X-Original-Method": {"PUT"}, "X-Original-Url": {"https://api.example.com:8443" + target}},
		} {
			r, why := described(f, header)
			if why != "" || r.Method != "PUT" || r.Host != "api.example.com:8443" || r.URL.RequestURI() != target || r.RequestURI != target {
				t.Errorf("%s %s: %s %s %s, %s", f, target, r.Method, r.Host, r.URL, why)
			}
			for _, field := range []string{"X-Forwarded-Method", "X-Forwarded-Uri", "X-Original-Method", "X-Original-Url"} {
				if r.Header.Get(field) != "" {
					t.Errorf("%s %s: %s is left", f, target, field)
				}
			}
		}
	}
}

// TestForwardAuthRefuses checks descriptions that are missing, repeated, or may be read in two ways.
func TestForwardAuthRefuses(t *testing.T) {
	for _, target := range []string{
		"", "books", "*", "https://api.example.com/books", "/a#b", "/a b", "/é", "/%zz", "/a\x00", `/"`, "/a?b#c", "http:/books",
	} {
		if r, why := described(xForwarded, http.Header{"X-Forwarded-Method": {"GET"}, "X-Forwarded-Host": {"h"}, "X-Forwarded-Uri": {target}}); why == "" {
			t.Errorf("%q is read as %s", target, r.URL)
		}
		if r, why := described(xOriginal, http.Header{"X-Original-Method": {"GET"}, "X-Original-Url": {"http://h" + target}}); why == "" && r.Host == "h" {
			t.Errorf("%q is read as %s", target, r.URL)
		}
	}
	for name, header := range map[string]http.Header{
		"no method":         {"X-Forwarded-Host": {"h"}, "X-Forwarded-Uri": {"/"}},
		"no host":           {"X-Forwarded-Method": {"GET"}, "X-Forwarded-Uri": {"/"}},
		"no URL":            {"X-Forwarded-Method": {"GET"}, "X-Forwarded-Host": {"h"}},
		"two methods":       {"X-Forwarded-Method": {"GET", "PUT"}, "X-Forwarded-Host": {"h"}, "X-Forwarded-Uri": {"/"}},
		"two URLs":          {"X-Forwarded-Method": {"GET"}, "X-Forwarded-Host": {"h"}, "X-Forwarded-Uri": {"/", "/admin"}},
		"another spelling":  {"X-Forwarded-Method": {"GET"}, "X-Forwarded-Host": {"h"}, "X_forwarded_uri": {"/"}},
		"a malformed verb":  {"X-Forwarded-Method": {"GET /"}, "X-Forwarded-Host": {"h"}, "X-Forwarded-Uri": {"/"}},
		"the other headers": {"X-Original-Method": {"GET"}, "X-Original-Url": {"http://h/"}},
	} {
		if r, why := described(xForwarded, header); why == "" {
			t.Errorf("%s: %s %s", name, r.Method, r.URL)
		}
	}
	for _, raw := range []string{"", "/books", "ftp://h/books", "HTTP://h/books", "//h/books", "https://"} {
		if r, why := described(xOriginal, http.Header{"X-Original-Method": {"GET"}, "X-Original-Url": {raw}}); why == "" {
			t.Errorf("%q is read as %s %s", raw, r.Host, r.URL)
		}
	}
}
