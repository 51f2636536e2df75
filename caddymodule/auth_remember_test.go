package caddymodule_test

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestRefusedTokensTakeNoMemory: a client with a valid secret can get any number of genuine tokens. The door remembers
// those that it lets in. It does not remember one that lacks a scope, is for another audience, has expired or is revoked.
func TestRefusedTokensTakeNoMemory(t *testing.T) {
	servertest.SkipUnlessLong(t)
	d := newDoorFor(t, func(issuer *servertest.Issuer) {
		publishFeed(issuer).feed.Clients[digestOf("revoked")] = revocation.FeedClient{Before: time.Now().Unix() + 600, Expires: time.Now().Unix() + 600}
	}, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\nrequire GET /books book:*:read\n}\nrespond ok"))
	client := &http.Client{Timeout: doorTimeout}
	note := strings.Repeat("x", 4<<10)
	ask := func(n int, changes map[string]any) int {
		claims := d.issuer.Claims(doorAudience, "book:*:read", map[string]any{"jti": fmt.Sprint("J", n), "note": note})
		maps.Copy(claims, changes)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.address+"/books", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = bearer(d.issuer.Sign(claims, nil))
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		servertest.Body(t, response)
		return response.StatusCode
	}
	const tokens = 1000
	for _, test := range []struct {
		name    string
		changes map[string]any
		status  int
	}{
		{"without the scope", map[string]any{"scope": "film:*:read"}, http.StatusForbidden},
		{"of a revoked client", map[string]any{"client_id": "revoked"}, http.StatusUnauthorized},
		{"for another audience", map[string]any{"aud": "https://else.example.com"}, http.StatusUnauthorized},
		{"expired", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, http.StatusUnauthorized},
		{"let in", nil, http.StatusOK},
	} {
		for n := range 50 { // what Caddy itself keeps
			if status := ask(n, test.changes); status != test.status {
				t.Fatalf("%s: the status is %d, want %d", test.name, status, test.status)
			}
		}
		all, remembered := int64(tokens*len(note)), test.status == http.StatusOK
		for attempt := range 3 { // what earlier tests leave may be freed in the middle of one
			before := liveHeap()
			for n := range tokens {
				ask(100+attempt*tokens+n, test.changes)
			}
			grown := liveHeap() - before
			if remembered && grown >= all*3/4 || !remembered && grown <= all/2 {
				break
			}
			if attempt == 2 {
				t.Errorf("%s: %d tokens take %d bytes", test.name, tokens, grown)
			}
		}
	}
}

// liveHeap is the heap without its garbage.
func liveHeap() int64 {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
