package caddymodule_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// streamSlack is how much later than due a stream may end: the machine may be busy.
const streamSlack = 3 * time.Second

// streamUpstream answers as its path says, and notes how the requests ended.
type streamUpstream struct {
	mu    sync.Mutex
	ended map[string]error // by path; nil is at the end of the body
}

func (u *streamUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch kind := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; kind {
	case "socket":
		echoUpgraded(w, r)
		err = io.ErrUnexpectedEOF
	case "upload", "stalled":
		_, err = io.Copy(io.Discard, r.Body)
	case "pending":
		<-r.Context().Done()
		err = r.Context().Err()
	case "events":
		err = sendEvents(w, r)
	case "unread":
		for part := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(part)
		}
	case "short":
		time.Sleep(500 * time.Millisecond)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended == nil {
		u.ended = make(map[string]error)
	}
	u.ended[r.URL.Path] = err
}

func sendEvents(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/event-stream")
	for r.Context().Err() == nil {
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(20 * time.Millisecond)
	}
	return r.Context().Err()
}

// end is how a request ended, and whether it did.
func (u *streamUpstream) end(path string) (error, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	err, ended := u.ended[path]
	return err, ended
}

// streamClient is one connection with a request that has yet to end.
type streamClient struct {
	net.Conn
	reader *bufio.Reader
	path   string
}

// openStream sends a request for a path, whose last part says what it is.
func openStream(t testing.TB, address, path, raw string) *streamClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, doorTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(doorTimeout))
	c := &streamClient{conn, bufio.NewReader(conn), path}
	fields, method := "", "GET"
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "socket":
		fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	case "upload":
		fields, method = "Transfer-Encoding: chunked\r\n", "PUT"
	case "stalled":
		fields, method = "Content-Length: 1000\r\n", "PUT"
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n", method, path, address, raw, fields)
	return c
}

// alive fails the test unless the stream transports something.
func (c *streamClient) alive(t testing.TB) {
	t.Helper()
	switch c.path[strings.LastIndexByte(c.path, '/')+1:] {
	case "socket":
		_, _ = io.WriteString(c, "frame\n")
		c.find(t, "frame")
	case "events":
		c.find(t, "data: 1")
	case "upload":
		if _, err := io.WriteString(c, "4\r\npart\r\n"); err != nil {
			t.Errorf("%s: %v", c.path, err)
		}
	}
}

func (c *streamClient) find(t testing.TB, want string) {
	t.Helper()
	for {
		line, err := c.reader.ReadString('\n')
		if strings.Contains(line, want) {
			return
		}
		if err != nil {
			t.Errorf("%s does not bring %q: %v", c.path, want, err)
			return
		}
	}
}

// rest is what comes before the connection is closed, and when that was.
func (c *streamClient) rest() (string, time.Time) {
	if strings.HasSuffix(c.path, "/upload") {
		for !c.answered() {
			if _, err := io.WriteString(c, "4\r\npart\r\n"); err != nil {
				break
			}
		}
	}
	var text strings.Builder
	_, _ = io.Copy(&text, c.reader)
	return text.String(), time.Now()
}

// answered waits a little for an answer.
func (c *streamClient) answered() bool {
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, err := c.reader.Peek(1)
	_ = c.SetReadDeadline(time.Now().Add(doorTimeout))
	timeout, ok := errors.AsType[net.Error](err)
	return !ok || !timeout.Timeout()
}

// closedBetween fails the test unless the stream is closed in time, and with the answer to a new request where there
// was none before.
func (c *streamClient) closedBetween(t testing.TB, u *streamUpstream, from, to time.Time, reason string) {
	t.Helper()
	text, at := c.rest()
	if at.Before(from) || at.After(to.Add(streamSlack)) {
		t.Errorf("%s is closed at %s, want between %s and %s", c.path, at, from, to)
	}
	status := "401 Unauthorized"
	if reason == "no_revocations" {
		status = "503 Service Unavailable"
	}
	switch c.path[strings.LastIndexByte(c.path, '/')+1:] {
	case "upload", "stalled", "pending":
		if !strings.HasPrefix(text, "HTTP/1.1 "+status) || !strings.Contains(text, "Connection: close") || !strings.Contains(text, `"reason":"`+reason+`"`) {
			t.Errorf("%s is answered with %q", c.path, text)
		}
	case "events":
		if strings.HasSuffix(text, "0\r\n\r\n") {
			t.Errorf("%s looks whole", c.path)
		}
	}
	servertest.Eventually(t, c.path+" ends at the upstream", func() bool { _, ended := u.end(c.path); return ended })
	if err, _ := u.end(c.path); err == nil {
		t.Errorf("%s: the upstream takes what has broken off for whole", c.path)
	}
}

// closings counts the lines of the access log that have m2m_closed.
func closings(s *servertest.Server, reason string) int {
	count := 0
	for line := range strings.Lines(s.Log()) {
		if strings.Contains(line, `"m2m_closed":"`+reason+`"`) {
			count++
		}
	}
	return count
}

// streamDoor has two doors before one upstream, of which that below /kept keeps streams.
func streamDoor(t *testing.T) (*door, *streamUpstream) {
	t.Helper()
	own := "issuer ISSUER\naudience " + doorAudience + "\nleeway 0s\n"
	d := newDoorSite(t, "{\nservers {\nprotocols h1 h2c\n}\n}\n"+doorSite("log\nroute {\nmetrics /metrics\nm2m_auth /kept/* {\nkeep_streams\n"+own+"}\nm2m_auth /held/* {\n"+own+"}\nreverse_proxy UPSTREAM\n}"))
	u := new(streamUpstream)
	d.upstream.answerWith(u.ServeHTTP)
	return d, u
}

// TestStreamsEndWithTheToken: whatever goes on when a token expires ends then, and not before, unless the door is told
// to keep it.
func TestStreamsEndWithTheToken(t *testing.T) {
	d, u := streamDoor(t)
	before := ownGoroutines()
	exp := time.Now().Add(3 * time.Second).Truncate(time.Second)
	raw := d.sign(map[string]any{"exp": exp.Unix()})
	late := d.sign(map[string]any{"exp": exp.Add(-time.Second).Unix()})
	ahead := make(chan struct{})
	go func() {
		defer close(ahead)
		time.Sleep(time.Until(exp) - 900*time.Millisecond)
		if got := d.ask("GET", "/held/short", bearer(raw)); got.status != 200 {
			t.Errorf("a request before exp is answered %d %s", got.status, got.body)
		}
	}()
	var held, kept []*streamClient
	unread := openStream(t, d.address, "/held/unread", raw)
	for _, kind := range []string{"socket", "events", "upload", "stalled", "pending"} {
		held = append(held, openStream(t, d.address, "/held/"+kind, raw))
	}
	for _, kind := range []string{"socket", "events", "upload"} {
		kept = append(kept, openStream(t, d.address, "/kept/"+kind, late))
	}
	var all sync.WaitGroup
	for _, c := range held {
		c.alive(t)
		all.Go(func() { c.closedBetween(t, u, exp, exp, "expired") })
	}
	all.Go(func() { streamsOverHTTP2(t, d, raw, exp) })
	all.Wait()
	<-ahead
	for _, c := range kept {
		c.alive(t)
		_ = c.Close()
	}
	servertest.Eventually(t, "the access log tells, also of a client that reads nothing", func() bool { return closings(d.Server, "expired") == 8 })
	unread.closedBetween(t, u, exp, time.Now(), "expired")
	if want := fmt.Sprintf(`caddy_m2m_auth_streams_closed_total{issuer=%q,reason="expired"} 8`, d.issuer.URL); !strings.Contains(d.ask("GET", "/metrics", nil).body, want) {
		t.Errorf("the metrics lack %s", want)
	}
	servertest.Eventually(t, "as many goroutines as before", func() bool { return ownGoroutines() <= before })
}

// streamsOverHTTP2 has server-sent events and an upload end, and the connection go on.
func streamsOverHTTP2(t *testing.T, d *door, raw string, exp time.Time) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), doorTimeout)
	defer cancel()
	do := func(method, path string, body io.Reader) (*http.Response, error) {
		request, err := http.NewRequestWithContext(ctx, method, "http://"+d.address+path, body)
		if err != nil {
			return nil, err
		}
		request.Header = bearer(raw)
		return transport.RoundTrip(request)
	}
	events, err := do("GET", "/held/2/events", nil)
	if err != nil || events.ProtoMajor != 2 {
		t.Errorf("HTTP/2: %v, %v", events, err)
		return
	}
	defer events.Body.Close()
	stalled, _ := io.Pipe()
	upload, err := do("PUT", "/held/2/upload", stalled)
	if err != nil || upload.StatusCode != http.StatusUnauthorized {
		t.Errorf("an upload over HTTP/2 ends with %v, %v", upload, err)
	} else {
		_ = upload.Body.Close()
	}
	if _, err := io.Copy(io.Discard, events.Body); err == nil {
		t.Error("events over HTTP/2 look whole")
	}
	if now := time.Now(); now.Before(exp) || now.After(exp.Add(streamSlack)) {
		t.Errorf("HTTP/2 ends at %s", now)
	}
	if again, err := do("GET", "/held/short", nil); err != nil || again.StatusCode != http.StatusUnauthorized {
		t.Errorf("the connection afterwards: %v, %v", again, err)
	}
}

// localStreams is an issuer with a door before an upstream, in one process, and its admin endpoint.
func localStreams(t *testing.T) (*issuerWorld, *streamUpstream) {
	t.Helper()
	upstream := startDoorUpstream(t)
	u := new(streamUpstream)
	upstream.answerWith(u.ServeHTTP)
	w := newIssuerWorld(t, issuerSettings{
		options: "audience https://api.example.com",
		site:    "log\nm2m_auth /held/*\nm2m_auth /kept/* {\nkeep_streams\n}\nreverse_proxy " + upstream.URL + " {\nstream_close_delay 1m\n}",
	})
	w.Admin = strings.TrimPrefix(servertest.FreeURL(t), "http://")
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	return w, u
}

// admin has the admin API create something.
func (w *issuerWorld) admin(path, body string) {
	w.t.Helper()
	if a := w.do(w.request("POST", "http://"+w.Admin+path, strings.NewReader(body), "Content-Type", "application/json")); a.status != http.StatusCreated {
		w.t.Fatalf("POST %s: %s", path, a)
	}
}

// open opens streams of all kinds that can be seen to live.
func open(t *testing.T, address, folder, raw string) []*streamClient {
	t.Helper()
	var clients []*streamClient
	for _, kind := range []string{"socket", "events", "upload"} {
		c := openStream(t, address, folder+"/"+kind, raw)
		c.alive(t)
		clients = append(clients, c)
	}
	return clients
}

func allClosed(t *testing.T, clients []*streamClient, u *streamUpstream, reason string) {
	t.Helper()
	var all sync.WaitGroup
	now := time.Now()
	for _, c := range clients {
		all.Go(func() { c.closedBetween(t, u, now, now.Add(time.Second), reason) })
	}
	all.Wait()
}

func allAlive(t *testing.T, groups ...[]*streamClient) {
	t.Helper()
	for _, c := range slices.Concat(groups...) {
		c.alive(t)
	}
}

// TestRevokedStreamsEnd: by jti, by client and by key, also those that were let through before the config was replaced.
// When the issuer leaves the config all end: nothing is known here any more of what it revokes.
func TestRevokedStreamsEnd(t *testing.T) {
	w, u := localStreams(t)
	address, raw := strings.TrimPrefix(w.url, "http://"), w.token("careful")
	byToken, kept := open(t, address, "/held/token", raw), open(t, address, "/kept", raw)
	byClient, byKey := open(t, address, "/held/client", w.token("demo")), open(t, address, "/held/key", w.token("almighty"))
	w.revoke("careful", raw)
	allClosed(t, byToken, u, "revoked")
	allAlive(t, kept, byClient, byKey)
	if got := w.metric("auth_streams_closed_total", `reason="revoked"`); got != "3" {
		t.Errorf("%s streams are counted", got)
	}
	if err := w.Load(w.caddyfile() + "# reloaded\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // the former config has ended, and a check has been made
	allAlive(t, kept, byClient, byKey)
	w.admin("/m2m/revocations", `{"client_id": "demo"}`)
	allClosed(t, byClient, u, "revoked")
	allAlive(t, kept, byKey)
	w.admin("/m2m/keys/rotate", `{"now": true, "reason": "leaked"}`)
	allClosed(t, byKey, u, "revoked")
	if got := w.metric("auth_streams_closed_total", `reason="revoked"`); got != "6" {
		t.Errorf("after the reload %s streams are counted", got)
	}
	byIssuer := open(t, address, "/held/issuer", w.token("careful"))
	if err := w.Load(strings.Replace(w.caddyfile(), w.url+" {\nregistry", "https://other.example.com {\nregistry", 1)); err != nil {
		t.Fatal(err)
	}
	allClosed(t, byIssuer, u, "no_revocations")
	allAlive(t, kept)
	servertest.Eventually(t, "the access log tells", func() bool { return closings(w.Server, "revoked") == 9 && closings(w.Server, "unknown") == 3 })
}

// TestStreamsEndWhenRevocationsAreTooOld, as a new request would be refused. What was let through while there was no
// feed goes on.
func TestStreamsEndWhenRevocationsAreTooOld(t *testing.T) {
	var f *feedOf
	own := func(path, options string) string {
		return "m2m_auth " + path + " {\nissuer ISSUER {\naudience " + doorAudience + "\nrevocation_max_age 1m\n" + options + "\n}\n}\n"
	}
	d := newDoorFor(t, func(issuer *servertest.Issuer) { f = publishFeed(issuer) },
		doorSite(own("/held/*", "")+own("/lax/*", "revocation_stale allow")+"reverse_proxy UPSTREAM"))
	u := new(streamUpstream)
	d.upstream.answerWith(u.ServeHTTP)
	f.set(func(feed *revocation.Feed) { feed.AsOf = time.Now().Add(-57 * time.Second).Unix() }, nil)
	held, lax := open(t, d.address, "/held", d.sign(nil)), open(t, d.address, "/lax", d.sign(nil))
	time.Sleep(1100 * time.Millisecond)
	allAlive(t, held)
	allClosed(t, held, u, "no_revocations")
	allAlive(t, lax)
}
