package caddymodule_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// doorAudience is what tokens of these tests are for.
const doorAudience = "https://api.example.com"

// doorMetadata is where a door of that audience says its metadata is.
const doorMetadata = `resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`

// doorTimeout ends what hangs; nothing in these tests takes long.
const doorTimeout = 30 * time.Second

// door is a running m2m_auth before an upstream, with an issuer elsewhere that signs anything.
type door struct {
	*servertest.Server
	t         testing.TB
	address   string
	caddyfile string
	issuer    *servertest.Issuer
	upstream  *doorUpstream
}

// newDoor runs a site of m2m_auth with these subdirectives, and reverse_proxy.
func newDoor(t testing.TB, subdirectives string) *door {
	t.Helper()
	return newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n"+subdirectives+"\n}\nreverse_proxy UPSTREAM"))
}

// newDoorSite runs a Caddyfile in which ADDRESS, PORT, ISSUER and UPSTREAM stand for what they are.
func newDoorSite(t testing.TB, caddyfile string) *door {
	t.Helper()
	return newDoorFor(t, func(*servertest.Issuer) {}, caddyfile)
}

// newDoorFor is newDoorSite with an issuer that has been prepared.
func newDoorFor(t testing.TB, prepare func(*servertest.Issuer), caddyfile string) *door {
	t.Helper()
	d := &door{
		t: t, address: fmt.Sprintf("127.0.0.1:%d", servertest.FreePort(t)),
		issuer: servertest.StartIssuer(t), upstream: startDoorUpstream(t),
	}
	prepare(d.issuer)
	d.caddyfile = d.fill(caddyfile)
	d.Server = servertest.Start(t, d.caddyfile)
	return d
}

func (d *door) fill(caddyfile string) string {
	_, port, _ := net.SplitHostPort(d.address)
	return strings.NewReplacer("ADDRESS", "http://:"+port, "PORT", port, "ISSUER", d.issuer.URL,
		"UPSTREAM", strings.TrimPrefix(d.upstream.URL, "http://")).Replace(caddyfile)
}

func doorSite(directives string) string {
	return "ADDRESS {\nbind 127.0.0.1\n" + directives + "\n}\n"
}

// token is a good one for the door, with these scopes.
func (d *door) token(scopes string) string {
	return d.issuer.Sign(d.issuer.Claims(doorAudience, scopes, nil), nil)
}

// bearer is a header with the token, and with further fields as they stand.
func bearer(token string, fields ...string) http.Header {
	header := http.Header{"Authorization": {"Bearer " + token}}
	for n := 0; n < len(fields); n += 2 {
		header[fields[n]] = append(header[fields[n]], fields[n+1])
	}
	return header
}

// answer is a response that has been read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// reason is the reason member of a refusal's body.
func (a answer) reason() string { return a.member("reason") }

func (a answer) member(name string) string {
	object := make(map[string]any)
	_ = json.Unmarshal([]byte(a.body), &object)
	text, _ := object[name].(string)
	return text
}

func (a answer) challenge() string { return a.header.Get("WWW-Authenticate") }

// ask sends a request without a body. The header's names go out as they are spelt.
func (d *door) ask(method, target string, header http.Header) answer {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), method, "http://"+d.address+target, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header = header
	if header == nil {
		request.Header = make(http.Header)
	}
	request.Host = request.Header.Get("Host")
	return d.send(request)
}

func (d *door) send(request *http.Request) answer {
	d.t.Helper()
	client := &http.Client{
		Timeout:       doorTimeout,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	// during a reload the former listener may still take a connection and then close it
	for attempt := 0; err != nil && request.Body == nil && attempt < 10; attempt++ {
		time.Sleep(20 * time.Millisecond)
		response, err = client.Do(request)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, servertest.Body(d.t, response)}
}

// askRaw sends bytes that no careful client would, and reads one response.
func (d *door) askRaw(text string) answer {
	d.t.Helper()
	conn := d.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		d.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		d.t.Fatalf("after %q: %v", text, err)
	}
	return answer{response.StatusCode, response.Header, servertest.Body(d.t, response)}
}

func (d *door) dial() net.Conn {
	d.t.Helper()
	conn, err := net.DialTimeout("tcp", d.address, doorTimeout)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(doorTimeout)); err != nil {
		d.t.Fatal(err)
	}
	return conn
}

// doorUpstream keeps what it has been asked. handle, if set, answers.
type doorUpstream struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []*http.Request
	handle http.HandlerFunc
}

func startDoorUpstream(t testing.TB) *doorUpstream {
	u := new(doorUpstream)
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *doorUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	handle := u.handle
	u.mu.Unlock()
	if handle != nil {
		handle(w, r)
	} else {
		_, _ = io.Copy(io.Discard, r.Body) // the trailer comes after it
		_, _ = io.WriteString(w, "upstream")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen = append(u.seen, r)
}

// answerWith sets what answers from now on.
func (u *doorUpstream) answerWith(handle http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handle = handle
}

// taken is what has been asked since the last call.
func (u *doorUpstream) taken() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen := u.seen
	u.seen = nil
	return seen
}
