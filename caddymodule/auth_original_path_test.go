package caddymodule_test

import (
	"net"
	"net/http"
	"net/http/fcgi"
	"sync"
	"testing"
)

// fastCGIUpstream keeps the REQUEST_URI of the last request. PHP applications route by it.
type fastCGIUpstream struct {
	address string
	mu      sync.Mutex
	uri     string
}

func startFastCGIUpstream(t *testing.T) *fastCGIUpstream {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	u := &fastCGIUpstream{address: listener.Addr().String()}
	go func() { _ = fcgi.Serve(listener, u) }()
	return u
}

func (u *fastCGIUpstream) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.uri = r.URL.RequestURI()
}

// take returns what came since the last call.
func (u *fastCGIUpstream) take() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	uri := u.uri
	u.uri = ""
	return uri
}

// TestTheOriginalPathIsUnambiguous: directives before the door clean the path, but a FastCGI upstream gets the original one.
func TestTheOriginalPathIsUnambiguous(t *testing.T) {
	upstream := startFastCGIUpstream(t)
	door := "m2m_auth {\nissuer ISSUER\naudience " + doorAudience + "\nrequire GET /books/{id} book:{id}:read\n}\n" +
		"php_fastcgi " + upstream.address + " {\ntry_files index.php\n}\n"
	d := newDoorSite(t, doorSite("handle_path /api/* {\n"+door+"}\nhandle /strip/* {\nuri strip_prefix /strip\n"+door+"}\nhandle /re/* {\nuri path_regexp ^/re/[^/]*/ /\n"+door+"}\n"))
	for target, passes := range map[string]bool{
		"/api/books/1": true, "/API/books/1": true, "/strip/books/1": true, "/%61pi/books/1": true, "/re/x/books/1": true,
		"/api/admin/../books/1": false, "/api/admin/..%2fbooks/1": false, "/api/admin/%2e%2e/books/1": false, "/api/books/2/../1": false,
		"//api/books/1": false, "/api//books/1": false, "/api/./books/1": false, "/x/../api/books/1": false, "/api%2fbooks/1": false,
		"/strip/admin/../books/1": false, "//strip/books/1": false, "/re/a;b/books/1": false, "/re/a%5cb/books/1": false, "/re/%00/books/1": false,
	} {
		got := d.askRaw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + d.token("book:1:read") + "\r\n\r\n")
		uri := upstream.take()
		switch {
		case passes && (got.status != http.StatusOK || uri == ""):
			t.Errorf("%s: %d %s", target, got.status, got.body)
		case !passes && (got.status != http.StatusBadRequest || got.reason() != "ambiguous_path" || uri != ""):
			t.Errorf("%s: %d %s, and the upstream reads %q", target, got.status, got.body, uri)
		}
	}
}
