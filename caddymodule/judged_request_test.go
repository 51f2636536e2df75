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
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// These tests hold the door to one property: the request that it judged is the request that the
// upstream reads. The upstream here is not net/http. It keeps the bytes that it gets, and
// readJudged, which shares no code with the door, reads them.

// judgedCaddyfile has a door behind each of the ways in which Caddy changes a path before it.
const judgedCaddyfile = `
(door) {
	m2m_auth {
		issuer LOCAL
		issuer ELSEWHERE
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

// judgedPolicy tells the upstream what the policy saw.
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

// judgedAsk is a request as it goes out, byte for byte.
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

// check asks with several tokens, and reports whether the request goes through with one for everything.
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
	if none := w.ask(a, "none:x:y"); none.status != http.StatusForbidden || w.upstream.take() != "" || !strings.Contains(none.challenge(), `scope="`+read.scope+`"`) {
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

// sameHead compares the first lines: the others have a token's id and the like.
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

// checkExplained asks explain about the request that the upstream got.
func (w *judgedWorld) checkExplained(t *testing.T, a judgedAsk, read judgedReading) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"client": "ci-bot", "scopes": []string{"book:*:read"}, "request": map[string]any{
		"method": read.method, "url": "http://" + read.fields["host"] + read.target, "door": 0,
	}})
	if err != nil {
		t.Fatal(err)
	}
	told := w.explain(string(body))
	if required := told.Doors[0].Required; len(required) != 1 || required[0].Scope != read.scope {
		t.Fatalf("%s: explain says %+v, and the upstream reads %s", a, told.Doors[0], read.scope)
	}
	if policy := told.Doors[0].Policy; policy != nil {
		seen := judgedReading{fields: map[string]string{"x-judged": fmt.Sprint(policy.Headers[0].Value)}, method: read.method, host: read.host, path: read.path, parameters: read.parameters}
		checkSeenByPolicy(t, a, seen)
	}
}

// rawUpstream answers every request, and keeps the last one as it came.
type rawUpstream struct {
	listener net.Listener
	got      chan string
}

func startRawUpstream(t testing.TB) *rawUpstream {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	u := &rawUpstream{listener: listener, got: make(chan string, 100)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go u.serve(conn)
		}
	}()
	return u
}

func (u *rawUpstream) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
		}
		u.got <- head.String()
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// take returns what the upstream got since the last call, "" for nothing. The upstream answers after
// it has put a request there.
func (u *rawUpstream) take() string {
	select {
	case head := <-u.got:
		return head
	default:
		return ""
	}
}

// judgedReading is what the upstream makes of a request.
type judgedReading struct {
	method, target, host string
	path                 []string
	fields               map[string]string // names in lower case
	parameters           map[string]string
	resource, action     string
	identifier           string
	scope                string
}

// readJudged reads a request as a simple upstream does, and says which scope it needs.
func readJudged(head string) (judgedReading, bool) {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
	words := strings.Split(lines[0], " ")
	if len(words) != 3 {
		return judgedReading{}, false
	}
	r := judgedReading{method: words[0], target: words[1], fields: make(map[string]string)}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.fields[strings.ToLower(name)] = value
	}
	r.host = strings.ToLower(r.fields["host"])
	if end := strings.IndexByte(r.host, ']'); end > 0 {
		r.host = r.host[:end+1]
	} else {
		r.host, _, _ = strings.Cut(r.host, ":")
	}
	r.host = strings.TrimSuffix(r.host, ".")
	path, _, _ := strings.Cut(r.target, "?")
	for _, segment := range strings.Split(path, "/")[1:] {
		r.path = append(r.path, percentDecode(segment))
	}
	r.route()
	if r.resource == "" || slices.Contains(slices.Collect(maps.Values(r.parameters)), "") {
		return r, false
	}
	r.scope = r.resource + ":" + r.identifier + ":" + r.action
	return r, true
}

// route holds the same rules as the Caddyfile.
func (r *judgedReading) route() {
	read := r.method == "GET" || r.method == "HEAD"
	last := ""
	if len(r.path) > 0 {
		last = r.path[len(r.path)-1]
	}
	is := func(pattern ...string) bool {
		return len(pattern) == len(r.path) && !slices.ContainsFunc(pattern, func(literal string) bool {
			at := slices.Index(pattern, literal)
			return literal != "*" && r.path[at] != literal
		})
	}
	found := func(resource, identifier, action string, parameters ...string) {
		r.resource, r.identifier, r.action, r.parameters = resource, identifier, action, make(map[string]string)
		for n := 0; n < len(parameters); n += 2 {
			r.parameters[parameters[n]] = parameters[n+1]
		}
	}
	switch {
	case is("books", "*") && read:
		found("book", asIdentifier(last, ""), "read", "id", last)
	case is("books", "*") && r.method == "PUT":
		found("book", asIdentifier(last, ""), "edit", "id", last)
	case len(r.path) == 4 && r.path[0] == "books" && r.path[2] == "pages" && read:
		found("page", asIdentifier(r.path[1], ":")+":"+asIdentifier(last, ""), "read", "id", r.path[1], "page", last)
	case len(r.path) > 1 && r.path[0] == "files":
		rest := strings.Join(r.path[1:], "/")
		found("file", asIdentifier(rest, ""), "use", "rest", rest)
	case is("keys", "*") && read && r.host == "vault.example.com":
		found("vault", asIdentifier(last, ""), "open", "key", last)
	case is("keys", "*") && read:
		found("drawer", asIdentifier(last, ""), "open", "key", last)
	case len(r.path) == 4 && r.path[0] == "t" && r.path[2] == "d" && r.method == "POST":
		found("doc", asIdentifier(r.path[1], "~")+"~"+asIdentifier(last, ""), "write", "tenant", r.path[1], "doc", last)
	case is("Shop", "*") && read:
		found("item", "x-"+asIdentifier(last, "")+"-y", "buy", "Item", last)
	case is("bücher", "*") && read:
		found("buch", asIdentifier(last, ""), "lesen", "id", last)
	}
}

// others are scopes for other objects than the one that the upstream reads.
func (r judgedReading) others() []string {
	var others []string
	for _, identifier := range []string{
		strings.ToLower(r.identifier), strings.ToUpper(r.identifier), strings.ToTitle(r.identifier), r.identifier + "x", "x" + r.identifier,
		r.identifier[:len(r.identifier)-1], strings.ReplaceAll(r.identifier, "%", ""), percentDecode(r.identifier),
		strings.ToLower(percentDecode(r.identifier)), asIdentifier(strings.ToLower(percentDecode(r.identifier)), ""),
		asIdentifier(strings.ToUpper(percentDecode(r.identifier)), ""),
	} {
		scope := r.resource + ":" + identifier + ":" + r.action
		if identifier != r.identifier && identifier != "" && !strings.ContainsAny(identifier, " *\"\\") && !slices.Contains(others, scope) {
			others = append(others, scope)
		}
	}
	return append(others, r.resource+":"+r.identifier+":other", "other:"+r.identifier+":"+r.action)
}

// percentDecode leaves alone what is not an encoding.
func percentDecode(text string) string {
	var decoded []byte
	for i := 0; i < len(text); i++ {
		var c byte
		if text[i] == '%' && i+2 < len(text) {
			if _, err := fmt.Sscanf(text[i+1:i+3], "%02x", &c); err == nil {
				decoded = append(decoded, c)
				i += 2
				continue
			}
		}
		decoded = append(decoded, text[i])
	}
	return string(decoded)
}

// asIdentifier writes a value in a scope as docs/reference.md says.
func asIdentifier(value, separator string) string {
	const plain = "!#$&'()+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"
	var text strings.Builder
	for i := range len(value) {
		if c := string(value[i : i+1]); strings.Contains(plain, c) && c != separator {
			text.WriteString(c)
		} else {
			fmt.Fprintf(&text, "%%%02X", value[i])
		}
	}
	return text.String()
}

// judgedGenerator makes requests, of which many are for some route.
type judgedGenerator struct{ *rand.Rand }

func pick[T any](g judgedGenerator, from ...T) T { return from[g.IntN(len(from))] }

// value is an identifier of letters of both cases and several scripts; odd has characters that a path
// cannot have as they are, or that cause the request to be refused.
func (g judgedGenerator) value(odd bool) string {
	letters := []string{"a", "K", "z", "Q", "1", "9", "-", "_", ".x", "é", "É", "ß", "ẞ", "K", "ſ", "İ", "ı", "Σ", "ς", "Ж", "ж", "Ａ", "本", "ᾳ", "ǅ", "~", ":", "*", "@", "+", "=", ",", "!", "'", "(", "$", "&", "{id}", "[", " ", "\"", "<", "|", "^", "`", "%zz", "100%-"}
	if odd {
		letters = append(letters, "/", "//", "..", ".", ";", "?", "#", "\\", "\x00", "\n", "\x7f", "%2f", "%41", "\xff", "")
	}
	var value strings.Builder
	for range 1 + g.IntN(5) {
		value.WriteString(pick(g, letters...))
	}
	return value.String()
}

// encode writes a segment in one of the ways in which a client may: what must be encoded is, and what
// need not be may be.
func (g judgedGenerator) encode(segment string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@"
	more := pick(g, "", "", "[]|^{}`\"<>", "\x80-\xff") // some clients leave these as they are
	style := g.IntN(4)
	var text strings.Builder
	for i := range len(segment) {
		c := segment[i]
		asItIs := strings.IndexByte(plain, c) >= 0 || more != "" && (c < 0x80 && strings.IndexByte(more, c) >= 0 || c >= 0x80 && more[0] == 0x80)
		switch {
		case asItIs && (style > 0 || g.IntN(3) > 0):
			text.WriteByte(c)
		case style%2 == 0:
			fmt.Fprintf(&text, "%%%02x", c)
		default:
			fmt.Fprintf(&text, "%%%02X", c)
		}
	}
	return text.String()
}

// request reports whether it must go through, and the name that its target begins with.
func (g judgedGenerator) request() (a judgedAsk, clean bool) {
	odd := g.IntN(4) == 0
	value := func() string { return g.encode(g.value(odd)) }
	kind := pick(g, [2]string{"GET", "/books/V"}, [2]string{"PUT", "/books/V"}, [2]string{"GET", "/books/V/pages/V"}, [2]string{"DELETE", "/files/V"},
		[2]string{"GET", "/files/V/V/V"}, [2]string{"GET", "/keys/V"}, [2]string{"POST", "/t/V/d/V"}, [2]string{"GET", "/Shop/V"},
		[2]string{"GET", "/b%C3%BCcher/V"}, [2]string{"GET", "/b%c3%bccher/V"})
	a = judgedAsk{method: kind[0], host: pick(g, "api.example.com", "vault.example.com", "VAULT.example.com", "vault.example.com:8443", "vault.example.com.", "127.0.0.1", "[::1]:80")}
	if a.method == "GET" && g.IntN(5) == 0 {
		a.method = "HEAD"
	}
	for part := range strings.SplitSeq(kind[1], "V") {
		if a.target != "" {
			a.target += value()
		}
		a.target += part
	}
	clean = !odd
	if g.IntN(10) == 0 {
		a.method = pick(g, "get", "POST", "PATCH", "M-SEARCH", "OPTIONS", "TRACE", "Put")
		clean = false
	}
	if g.IntN(10) == 0 {
		a.target = pick(g, strings.ToUpper(a.target), strings.ToLower(a.target), a.target+"/", "/"+a.target, a.target+"/../x", a.target+"//", "http://other.example.com"+a.target)
		clean = false
	}
	a.target = pick(g, "", "", "/api", "/strip", "/old", "/API", "/mirror", "/path", "/%61pi") + a.target + pick(g, "", "", "?x=1", "?", "?/books/other;y#")
	if strings.Contains(a.target, "/http:") || strings.HasPrefix(a.target, "/path") || strings.HasPrefix(a.target, "/mirror") || strings.HasPrefix(a.target, "/API") || strings.HasPrefix(a.target, "/%61pi") {
		clean = false
	}
	return a, clean
}

// TestTheRequestThatWasJudgedIsTheOneForwarded holds generated requests to the property. Each run has other
// ones.
func TestTheRequestThatWasJudgedIsTheOneForwarded(t *testing.T) {
	w := newJudgedWorld(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := judgedGenerator{rand.New(rand.NewPCG(seed, 0))}
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

// FuzzJudgedRequest holds any request line and host to the same property.
func FuzzJudgedRequest(f *testing.F) {
	w := newJudgedWorld(f)
	g := judgedGenerator{rand.New(rand.NewPCG(1, 2))}
	for range 40 {
		a, _ := g.request()
		f.Add(a.method, a.target, a.host)
	}
	f.Fuzz(func(t *testing.T, method, target, host string) {
		if strings.ContainsAny(method+target, " \r\n\t") || strings.ContainsAny(host, "\r\n") || method == "" || target == "" || method == "CONNECT" || len(target) > 4000 {
			return
		}
		w.t = t
		w.check(t, judgedAsk{method, target, host})
	})
}
