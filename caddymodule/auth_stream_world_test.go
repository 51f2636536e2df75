package caddymodule_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// streamSlack is how much later than due a stream may end on a busy machine.
const streamSlack = 6 * time.Second

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
