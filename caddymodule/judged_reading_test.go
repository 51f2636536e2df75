package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// rawUpstream answers every request, and records the heads of requests as they arrive.
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

// take returns the next head that the upstream has received, or "". The upstream records it before it answers.
func (u *rawUpstream) take() string {
	select {
	case head := <-u.got:
		return head
	default:
		return ""
	}
}

// judgedReading is a request as the upstream reads it.
type judgedReading struct {
	method, target, host string
	path                 []string
	fields               map[string]string // names in lower case
	parameters           map[string]string
	resource, action     string
	identifier           string
	scope                string
	public               bool
}

// readJudged reads a request like a simple upstream, and finds the scope that it needs.
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
		if address, err := netip.ParseAddr(r.host[1:end]); err == nil { // an address has several forms
			r.host = "[" + address.String() + "]"
		}
	} else {
		r.host, _, _ = strings.Cut(r.host, ":")
	}
	r.host = strings.TrimSuffix(r.host, ".")
	path, _, _ := strings.Cut(r.target, "?")
	for _, segment := range strings.Split(path, "/")[1:] {
		r.path = append(r.path, percentDecode(segment))
	}
	r.route()
	if r.public {
		return r, true
	}
	if r.resource == "" || slices.Contains(slices.Collect(maps.Values(r.parameters)), "") {
		return r, false
	}
	r.scope = r.resource + ":" + r.identifier + ":" + r.action
	return r, true
}

// route applies the rules of judgedRules.
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
	default:
		r.routeWithSlashes(found, is, read)
	}
}

// routeWithSlashes applies the rules that take encoded slashes. This upstream splits the path before it decodes it, so a
// slash in a segment was encoded. It is %2F in scopes and parameters.
func (r *judgedReading) routeWithSlashes(found func(resource, identifier, action string, parameters ...string), is func(pattern ...string) bool, read bool) {
	raw := make([]string, len(r.path))
	escaped := make([]string, len(r.path))
	for n, segment := range r.path {
		raw[n], escaped[n] = strings.ReplaceAll(segment, "/", "%2F"), asIdentifier(segment, "/")
	}
	switch {
	case is("projects", "*") && read:
		found("project", escaped[1], "read", "project", raw[1])
	case len(raw) > 3 && raw[0] == "projects" && raw[2] == "files":
		found("project", escaped[1]+"/"+strings.Join(escaped[3:], "/"), "use", "project", raw[1], "rest", strings.Join(raw[3:], "/"))
	case len(raw) == 3 && raw[0] == "queues" && read:
		vhost := strings.ReplaceAll(escaped[1], ":", "%3A")
		found("queue", vhost+":"+escaped[2], "read", "vhost", raw[1], "queue", raw[2])
	case is("*") && read:
		found("package", escaped[0], "install", "package", raw[0])
	case is("open", "*") && (read || r.method == "PUT" && !strings.Contains(r.path[1], "/")):
		r.public = r.path[1] != ""
	}
}

// others returns scopes of other objects and actions than the upstream reads.
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

// percentDecode keeps what is not an encoding.
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

// asIdentifier encodes a value for a scope, as docs/reference.md says.
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

// judgedGenerator generates requests. Many of them match a rule.
type judgedGenerator struct{ *rand.Rand }

// newJudgedGenerator makes other requests in each run, and logs the seed.
func newJudgedGenerator(t *testing.T) judgedGenerator {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return judgedGenerator{rand.New(rand.NewPCG(seed, 0))}
}

func pick[T any](g judgedGenerator, from ...T) T { return from[g.IntN(len(from))] }

// value returns an identifier with letters of both cases and several scripts. With odd, it also has characters that a path
// must encode, or for which the door refuses the request.
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

// encode encodes a segment in one of the ways that clients use. Characters that need no encoding may be encoded, too.
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

// request generates a request. A clean request must pass the door.
func (g judgedGenerator) request() (a judgedAsk, clean bool) {
	if g.IntN(4) == 0 {
		return g.requestWithSlash()
	}
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

// requestWithSlash generates a request for the rules that take encoded slashes.
func (g judgedGenerator) requestWithSlash() (a judgedAsk, clean bool) {
	clean = g.IntN(4) > 0
	value := func() string {
		parts := []string{g.value(!clean)}
		for range g.IntN(3) {
			parts = append(parts, pick(g, "", g.value(!clean)))
		}
		text := strings.Join(parts, "/")
		if g.IntN(8) == 0 {
			text = pick(g, "/", "/x", "@scope/name", "a//b", "x/")
		}
		if !clean && g.IntN(3) == 0 {
			text = pick(g, "..", "../books/1", "a/..", "a/../b", "./a", "/..", "files/x", "books/1", "Shop/1", "Files/x", "open/1", "a%2fb", "a;/b", "a\\b/c")
		}
		if clean || g.IntN(2) == 0 {
			return url.PathEscape(text)
		}
		return g.encode(text)
	}
	kind := pick(g, [2]string{"GET", "/projects/V"}, [2]string{"POST", "/projects/V/files/V"}, [2]string{"GET", "/projects/V/files/V/V"},
		[2]string{"GET", "/queues/V/V"}, [2]string{"GET", "/V"}, [2]string{"GET", "/open/V"})
	a = judgedAsk{method: kind[0], host: "api.example.com"}
	for part := range strings.SplitSeq(kind[1], "V") {
		if a.target != "" {
			a.target += value()
		}
		a.target += part
	}
	if g.IntN(4) == 0 {
		a.target = strings.ReplaceAll(a.target, "%2F", "%2f")
	}
	if g.IntN(10) == 0 {
		a.target, clean = pick(g, strings.ToUpper(a.target), strings.Replace(a.target, "/", "%2F", 1), "/%2F"+a.target, a.target+"/", a.target+"/.."), false
	}
	prefix := pick(g, "", "", "/api", "/strip", "/old", "/API", "/mirror", "/path", "/%61pi", "/api%2F", "/strip%2F..")
	if prefix != "" && prefix != "/api" && prefix != "/strip" && prefix != "/old" {
		clean = false
	}
	if strings.HasPrefix(prefix+a.target, "//") {
		clean = false
	}
	a.target = prefix + a.target + pick(g, "", "", "?x=%2F")
	return a, clean
}
