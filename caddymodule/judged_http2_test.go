package caddymodule_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// judgedHTTP2Site has the rules of judgedCaddyfile, and directives that handle a path before and after the door.
const judgedHTTP2Site = `{
	servers {
		protocols h1 h2c
	}
}
(door) {
	m2m_auth {
		issuer ISSUER
		audience ` + doorAudience + `
		require GET /books/{id} book:{id}:read
		require PUT /books/{id} book:{id}:edit
		require GET /books/{id}/pages/{page} page:{id}:{page}:read
		require /files/{rest...} file:{rest}:use
		require GET vault.example.com/keys/{key} vault:{key}:open
		require GET /keys/{key} drawer:{key}:open
		require POST /t/{tenant}/d/{doc} doc:{tenant}~{doc}:write
		require GET /Shop/{Item} item:x-{Item}-y:buy
		require GET /bücher/{id} buch:{id}:lesen
	}
	reverse_proxy RAW
}
ADDRESS {
	bind 127.0.0.1
	handle_path /api/* {
		import door
	}
	route /strip/* {
		uri replace /strip/ / 1
		import door
	}
	handle /mirror/* {
		rewrite * /files{uri}
		import door
	}
	handle {
		import door
	}
}
`

// TestHTTP2IsJudgedLikeHTTP1: the same request is answered alike, and arrives alike, whichever protocol it
// came with.
func TestHTTP2IsJudgedLikeHTTP1(t *testing.T) {
	upstream := startRawUpstream(t)
	d := newDoorSite(t, strings.ReplaceAll(judgedHTTP2Site, "RAW", upstream.listener.Addr().String()))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := judgedGenerator{rand.New(rand.NewPCG(seed, 0))}
	token := d.token("*")
	arrived := func() string {
		line, _, _ := strings.Cut(upstream.take(), "\r\n")
		return line
	}
	through := 0
	const requests = 300
	for range requests {
		a, _ := g.request()
		if !strings.HasPrefix(a.target, "/") || a.method == http.MethodHead {
			continue // not to be had in HTTP/2, or without an answer to compare
		}
		one := d.askRaw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", a.method, a.target, a.host, token))
		first := arrived()
		two := d.askHTTP2([]string{":method", a.method, ":scheme", "http", ":path", a.target, ":authority", a.host, "authorization", "Bearer " + token})
		if second := arrived(); one.status != two.status || one.reason() != two.reason() || first != second {
			t.Fatalf("%s: HTTP/1.1 has %d %s and %q, HTTP/2 %d %s and %q", a, one.status, one.reason(), first, two.status, two.reason(), second)
		}
		if one.status == http.StatusOK {
			through++
		}
	}
	if through < requests/4 {
		t.Errorf("only %d of %d requests went through", through, requests)
	}
}
