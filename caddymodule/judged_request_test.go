package caddymodule_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// These tests check one property: the request that the door judged is the request that the upstream reads. The upstream
// is not net/http: it records the bytes, and readJudged, which shares no code with the door, reads them.

// judgedRules are the rules of the doors. judgedReading.route has the same.
const judgedRules = `audience ` + doorAudience + `
		require GET /books/{id} book:{id}:read
		require PUT /books/{id} book:{id}:edit
		require GET /books/{id}/pages/{page} page:{id}:{page}:read
		require /files/{rest...} file:{rest}:use
		require GET vault.example.com/keys/{key} vault:{key}:open
		require GET /keys/{key} drawer:{key}:open
		require POST /t/{tenant}/d/{doc} doc:{tenant}~{doc}:write
		require GET /Shop/{Item} item:x-{Item}-y:buy
		require GET /bücher/{id} buch:{id}:lesen
		require GET /projects/{project} project:{project}:read {
			encoded_slash
		}
		require /projects/{project}/files/{rest...} project:{project}/{rest}:use {
			encoded_slash
		}
		require GET /queues/{vhost}/{queue} queue:{vhost}:{queue}:read {
			encoded_slash
		}
		require GET /{package} package:{package}:install {
			encoded_slash
		}
		public GET /open/{id} {
			encoded_slash
		}
		public PUT /open/{id}`

// judgedCaddyfile has a door behind each of the ways in which Caddy can change a path.
const judgedCaddyfile = `
(door) {
	m2m_auth {
		issuer LOCAL
		issuer ELSEWHERE
		` + judgedRules + `
		policy POLICY {
			timeout 20s
			upstream_header X-Judged
		}
	}
	reverse_proxy UPSTREAM
}
http://:PORT {
	bind 127.0.0.1
	handle_path /api/* {
		import door
	}
	handle /strip/* {
		uri strip_prefix /strip
		import door
	}
	handle /old/* {
		uri path_regexp ^/old/ /
		import door
	}
	handle /mirror/* {
		rewrite * /files{uri}
		import door
	}
	handle /path/* {
		rewrite * /files{path}
		import door
	}
	handle {
		import door
	}
}
`

// judgedPolicy sends the input of the policy to the upstream.
const judgedPolicy = `package m2m.request

headers["X-Judged"] := base64.encode(json.marshal(input.request))
`

// judgedWorld is a server with such doors, and one connection to it.
type judgedWorld struct {
	*adminWorld
	address   string
	elsewhere *servertest.Issuer
	upstream  *rawUpstream
	conn      net.Conn
	reader    *bufio.Reader
}

func newJudgedWorld(t testing.TB) *judgedWorld {
	w := &judgedWorld{elsewhere: servertest.StartIssuer(t), upstream: startRawUpstream(t)}
	port := servertest.FreePort(t)
	w.address = fmt.Sprintf("127.0.0.1:%d", port)
	w.adminWorld = startAdmin(t)
	t.Cleanup(w.hangUp)
	file := servertest.WriteFile(t, t.TempDir(), "judged.rego", judgedPolicy)
	config := strings.NewReplacer("PORT", fmt.Sprint(port), "LOCAL", w.issuer, "ELSEWHERE", w.elsewhere.URL, "POLICY", file,
		"UPSTREAM", w.upstream.listener.Addr().String()).Replace(judgedCaddyfile)
	if err := w.Load(w.config("audience "+doorAudience) + config); err != nil {
		t.Fatal(err)
	}
	w.book()
	return w
}

// judgedAsk is a request as it is sent, byte for byte.
type judgedAsk struct{ method, target, host string }

func (a judgedAsk) String() string { return fmt.Sprintf("%s %q (Host %q)", a.method, a.target, a.host) }

// ask sends a request with a token of these scopes.
func (w *judgedWorld) ask(a judgedAsk, scopes string) answer {
	w.t.Helper()
	token := w.elsewhere.Sign(w.elsewhere.Claims(doorAudience, scopes, nil), nil)
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nAuthorization: Bearer %s\r\n\r\n", a.method, a.target, a.host, token)
	for attempt := range 2 {
		if w.conn == nil {
			w.dial()
		}
		if _, err := io.WriteString(w.conn, text); err == nil {
			response, err := http.ReadResponse(w.reader, &http.Request{Method: a.method})
			if err == nil {
				body, _ := io.ReadAll(response.Body)
				if response.Close {
					w.hangUp()
				}
				return answer{response.StatusCode, response.Header, string(body)}
			}
		}
		w.hangUp() // the server may have closed a connection after its last answer
		if attempt > 0 {
			w.t.Fatalf("%s: no answer", a)
		}
	}
	panic("unreachable")
}

func (w *judgedWorld) dial() {
	w.t.Helper()
	conn, err := net.DialTimeout("tcp", w.address, doorTimeout)
	if err != nil {
		w.t.Fatal(err)
	}
	w.conn, w.reader = conn, bufio.NewReader(conn)
}

func (w *judgedWorld) hangUp() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// check sends a request with several tokens. It reports whether the request passes with a token for everything.
func (w *judgedWorld) check(t *testing.T, a judgedAsk) bool {
	t.Helper()
	all := w.ask(a, "*:*:*")
	got := w.upstream.take()
	if all.status != http.StatusOK {
		if got != "" || all.status >= 500 {
			t.Fatalf("%s: %d %s, and the upstream gets %q", a, all.status, all.body, got)
		}
		return false
	}
	read, ok := readJudged(got)
	if !ok {
		t.Fatalf("%s: no rule is about what the upstream gets: %q", a, got)
	}
	if read.public {
		w.checkPublic(t, a, read, got)
		return true
	}
	if none := w.ask(a, "none:x:y"); none.status != http.StatusForbidden || w.upstream.take() != "" || !strings.Contains(none.challenge(), `scope="`+credential.Mask(read.scope)+`"`) {
		t.Fatalf("%s: the upstream reads %s, and the door judges by %d %s", a, read.scope, none.status, none.challenge())
	}
	if exact := w.ask(a, read.scope); exact.status != http.StatusOK {
		t.Fatalf("%s: a token for just what the upstream reads, %s: %d %s", a, read.scope, exact.status, exact.body)
	}
	if again := w.upstream.take(); !sameHead(again, got) {
		t.Fatalf("%s: the upstream gets %q, and then %q", a, got, again)
	}
	for _, other := range read.others() {
		if wrong := w.ask(a, other); wrong.status != http.StatusForbidden || w.upstream.take() != "" {
			t.Fatalf("%s: the upstream reads %s, and a token for %s gets %d", a, read.scope, other, wrong.status)
		}
	}
	checkSeenByPolicy(t, a, read)
	w.checkExplained(t, a, read)
	return true
}

// checkPublic checks that a token and identity headers of the client neither matter nor arrive.
func (w *judgedWorld) checkPublic(t *testing.T, a judgedAsk, read judgedReading, got string) {
	t.Helper()
	for _, field := range []string{"authorization", "x-client-id", "x-client-scope", "x-judged"} {
		if value, ok := read.fields[field]; ok {
			t.Fatalf("%s: the upstream gets %s: %s", a, field, value)
		}
	}
	if none := w.ask(a, "none:x:y"); none.status != http.StatusOK || !sameHead(w.upstream.take(), got) {
		t.Fatalf("%s: %d with another token", a, none.status)
	}
}

// sameHead compares the first lines. Other lines differ, for example by the token's ID.
func sameHead(a, b string) bool {
	first, _, _ := strings.Cut(a, "\r\n")
	second, _, _ := strings.Cut(b, "\r\n")
	return first == second && first != ""
}

func checkSeenByPolicy(t *testing.T, a judgedAsk, read judgedReading) {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(read.fields["x-judged"])
	var seen struct {
		Method, Host string
		Path         []string
		Route        struct{ Parameters map[string]string }
	}
	if err != nil || json.Unmarshal(text, &seen) != nil {
		t.Fatalf("%s: the policy's header is %q", a, read.fields["x-judged"])
	}
	if seen.Method != read.method || seen.Host != read.host || !slices.Equal(seen.Path, read.path) || !maps.Equal(seen.Route.Parameters, read.parameters) {
		t.Fatalf("%s: the policy sees %+v, and the upstream reads %+v", a, seen, read)
	}
}

// checkExplained explains the request that the upstream received.
func (w *judgedWorld) checkExplained(t *testing.T, a judgedAsk, read judgedReading) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"client": "ci-bot", "scopes": []string{"book:*:read"}, "request": map[string]any{
		"method": read.method, "url": "http://" + read.fields["host"] + read.target, "door": 0,
	}})
	if err != nil {
		t.Fatal(err)
	}
	told := w.explain(string(body))
	if required := told.Doors[0].Required; len(required) != 1 || credential.Mask(required[0].Scope) != credential.Mask(read.scope) {
		t.Fatalf("%s: explain says %+v, and the upstream reads %s", a, told.Doors[0], read.scope)
	}
	if policy := told.Doors[0].Policy; policy != nil {
		seen := judgedReading{fields: map[string]string{"x-judged": fmt.Sprint(policy.Headers[0].Value)}, method: read.method, host: read.host, path: read.path, parameters: read.parameters}
		checkSeenByPolicy(t, a, seen)
	}
}

// TestTheRequestThatWasJudgedIsTheOneForwarded checks the property with generated requests.
func TestTheRequestThatWasJudgedIsTheOneForwarded(t *testing.T) {
	w := newJudgedWorld(t)
	g := newJudgedGenerator(t)
	through, prefixed := 0, 0
	const requests = 400
	for range requests {
		a, clean := g.request()
		passes := w.check(t, a)
		if clean && !passes {
			t.Fatalf("%s does not go through: %+v", a, w.ask(a, "*:*:*"))
		}
		if passes {
			through++
			if !strings.HasPrefix(a.target, "/books") && !strings.HasPrefix(a.target, "/files") {
				prefixed++
			}
		}
	}
	if through < requests/3 || prefixed < requests/10 {
		t.Errorf("only %d of %d requests went through, %d of them with a path that Caddy changed", through, requests, prefixed)
	}
}

// FuzzJudgedRequest checks the property with any request line and host.
func FuzzJudgedRequest(f *testing.F) {
	w := newJudgedWorld(f)
	g := judgedGenerator{rand.New(rand.NewPCG(1, 2))}
	for range 40 {
		a, _ := g.request()
		f.Add(a.method, a.target, a.host)
	}
	f.Add("GET", "/books/1", "[::000]:10")
	f.Add("GET", "/queues/100%25-%21:%2f%2f&/%2A%D0%B6@100%25--%2f%2f?x=%2F", "api.example.com") // has what looks like a password in a URL
	f.Fuzz(func(t *testing.T, method, target, host string) {
		if strings.ContainsAny(method+target, " \r\n\t") || strings.ContainsAny(host, "\r\n") || method == "" || target == "" || method == "CONNECT" || len(target) > 4000 {
			return
		}
		w.t = t
		w.check(t, judgedAsk{method, target, host})
	})
}

// judgedHTTP2Site accepts HTTP/2 without TLS, and has the same rules as judgedCaddyfile.
const judgedHTTP2Site = `{
	servers {
		protocols h1 h2c
	}
}
(door) {
	m2m_auth {
		issuer ISSUER
		` + judgedRules + `
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

// TestHTTP2IsJudgedLikeHTTP1: with both protocols a request gets the same answer and reaches the upstream in the same form.
func TestHTTP2IsJudgedLikeHTTP1(t *testing.T) {
	upstream := startRawUpstream(t)
	d := newDoorSite(t, strings.ReplaceAll(judgedHTTP2Site, "RAW", upstream.listener.Addr().String()))
	g := newJudgedGenerator(t)
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
			continue // impossible in HTTP/2, or without a body to compare
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
