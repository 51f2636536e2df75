package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// stalledFor bounds the time of a request whose body does not come: 10 seconds, and more on a busy machine. Without a
// timeout the request would never end.
const stalledFor = 30 * time.Second

// stalledSites are an issuer and a door at two addresses: one with Caddy's own timeouts, one where it has none.
func stalledSites(t *testing.T) (addresses []string) {
	for range 2 {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", servertest.FreePort(t)))
	}
	s := servertest.New(t)
	err := s.Load(fmt.Sprintf(`{
	servers {
		protocols h1 h2c
	}
	servers %[2]s {
		protocols h1 h2c
		timeouts {
			read_body_idle -1s
		}
	}
	m2m {
		issuer http://%[1]s {
			registry file ../examples/gateway/registry.yaml
		}
	}
}
http://%[1]s, http://%[2]s {
	bind 127.0.0.1
	m2m_ready /ready
	m2m_issuer
	m2m_auth
	respond ok
}
`, addresses[0], addresses[1]))
	if err != nil {
		t.Fatal(err)
	}
	return addresses
}

// TestStalledBodies: a request whose body does not end is held for at most ten seconds by the issuer, and by a door that
// refuses it, with any timeouts of Caddy. A client needs no credentials to begin one.
func TestStalledBodies(t *testing.T) {
	servertest.SkipUnlessLong(t)
	addresses := stalledSites(t)
	const form = "Content-Type: application/x-www-form-urlencoded\r\n"
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for _, address := range addresses {
		for _, request := range []string{
			"POST /oauth2/token HTTP/1.1\r\n" + form + "Content-Length: 100\r\n",
			"POST /oauth2/token HTTP/1.1\r\n" + form + "Transfer-Encoding: chunked\r\n",
			"POST /oauth2/token HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n",
			"POST /oauth2/introspect HTTP/1.1\r\n" + form + "Content-Length: 100\r\n",
			"POST /oauth2/revoke HTTP/1.1\r\n" + form + "Content-Length: 100\r\n",
			"GET /oauth2/jwks HTTP/1.1\r\nContent-Length: 100\r\n",
			"POST /oauth2/revocations HTTP/1.1\r\nContent-Length: 100\r\n",
			"GET /.well-known/openid-configuration HTTP/1.1\r\nContent-Length: 100\r\n",
			"POST /oauth2/authorize HTTP/1.1\r\nContent-Length: 100\r\n",
			"GET /ready HTTP/1.1\r\nContent-Length: 100\r\n",
			"GET /.well-known/oauth-protected-resource HTTP/1.1\r\nContent-Length: 100\r\n",
			"PUT /books/1 HTTP/1.1\r\nContent-Length: 100\r\n",
			"PUT /books/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
			"PUT /books/1 HTTP/1.1\r\nAuthorization: Bearer x\r\nContent-Length: 100\r\n",
		} {
			all.Go(func() { stall(t, address, request) })
		}
		all.Go(func() { stallStream(t, address) })
		all.Go(func() { keepAlive(t, address) })
	}
	all.Wait()
	servertest.Eventually(t, "no goroutine is held", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// stall sends a request without the end of its body. The server must close the connection, with or without an answer.
func stall(t *testing.T, address, request string) {
	name := strings.ReplaceAll(request, "\r\n", " ")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	began := time.Now()
	_ = conn.SetDeadline(began.Add(stalledFor))
	fmt.Fprintf(conn, "%sHost: %s\r\n\r\n", request, address)
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%s at %s: after %s %q, %v", name, address, time.Since(began), answer, err)
	}
	if strings.Contains(string(answer), "HTTP/1.1 200") && strings.HasPrefix(name, "P") {
		t.Errorf("%s at %s: %q", name, address, answer)
	}
}

// stallStream does the same with a stream of HTTP/2. The other streams of its connection go on.
func stallStream(t *testing.T, address string) {
	transport := plainHTTP2()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: stalledFor}
	body, feed := io.Pipe()
	defer feed.Close()
	began := time.Now()
	response, err := client.Post("http://"+address+"/oauth2/token", "application/x-www-form-urlencoded", body)
	if err != nil {
		t.Errorf("HTTP/2 at %s: after %s %v", address, time.Since(began), err)
		return
	}
	_ = response.Body.Close()
	if response.ProtoMajor != 2 || response.StatusCode != http.StatusBadRequest {
		t.Errorf("HTTP/2 at %s: %s %s", address, response.Proto, response.Status)
	}
	if response, err = client.Get("http://" + address + "/oauth2/jwks"); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("HTTP/2 at %s: another stream gets %v, %v", address, response, err)
		return
	}
	_ = response.Body.Close()
}

// keepAlive asks twice on one connection, with so long a pause that a deadline left by the first would end the second.
func keepAlive(t *testing.T, address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * stalledFor))
	reader := bufio.NewReader(conn)
	for n := range 3 {
		const body = "grant_type=client_credentials&client_id=x&client_secret=y"
		fmt.Fprintf(conn, "POST /oauth2/token HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
			address, len(body), body)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Errorf("request %d at %s: %v", n, address, err)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		if response.StatusCode != http.StatusUnauthorized || response.Close {
			t.Errorf("request %d at %s: %s", n, address, response.Status)
		}
		if n == 0 {
			time.Sleep(11 * time.Second)
		}
	}
}

// timeoutDoor starts a door on a server with these timeouts.
func timeoutDoor(t *testing.T, timeouts string) *door {
	return newDoorSite(t, "{\nservers {\ntimeouts {\n"+timeouts+"\n}\n}\n}\n"+
		doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\nreverse_proxy UPSTREAM"))
}

// TestTimeoutsOfBodies: a door ends a request whose body stalls or trickles, by read_body_idle, before it ends one whose
// body is long, by read_body. A request without a body may take longer than all of the timeouts.
func TestTimeoutsOfBodies(t *testing.T) {
	servertest.SkipUnlessLong(t)
	const readBody, longer = 6 * time.Second, 7 * time.Second
	d := timeoutDoor(t, fmt.Sprintf("read_header 1s\nread_body %s\nread_body_idle 1s 1000\nidle 1s", readBody))
	d.upstream.answerWith(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/socket":
			echoUpgraded(w, r)
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			for n := range 8 {
				fmt.Fprintf(w, "data: %d\n\n", n)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(longer / 8)
			}
		case "/slow":
			time.Sleep(longer)
			fmt.Fprint(w, "slow")
		default:
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})
	authorization := "Host: x\r\nAuthorization: Bearer " + d.token("") + "\r\n"
	var all sync.WaitGroup
	for name, end := range map[string]struct {
		every, from, to time.Duration
		fill            int
	}{
		"stalls":   {time.Hour, 0, readBody - time.Second, 0},
		"trickles": {100 * time.Millisecond, 0, readBody - time.Second, 10},
		"is long":  {100 * time.Millisecond, readBody - time.Second, doorTimeout / 2, 1000},
	} {
		all.Go(func() {
			conn := d.dial()
			defer conn.Close()
			fmt.Fprintf(conn, "PUT /books/1 HTTP/1.1\r\n%sContent-Length: 1000000\r\n\r\nx", authorization)
			began, ended := time.Now(), make(chan struct{})
			go feed(conn, end.every, end.fill, ended)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			close(ended)
			took := time.Since(began)
			if took < end.from || took > end.to || err == nil && response.StatusCode < 400 {
				t.Errorf("a body that %s: after %s %v, %v", name, took, response, err)
			}
		})
	}
	for path, want := range map[string]string{"/slow": "slow", "/events": "data: 7\n\n"} {
		all.Go(func() {
			if got := d.ask("GET", path, bearer(d.token(""))); got.status != http.StatusOK || !strings.HasSuffix(got.body, want) {
				t.Errorf("%s: %d %q", path, got.status, got.body)
			}
		})
	}
	all.Go(func() { quietSocket(t, d, authorization, longer) })
	all.Wait()
}

func feed(conn net.Conn, every time.Duration, size int, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(every):
			_, _ = conn.Write(make([]byte, size))
		}
	}
}

// quietSocket upgrades a connection, and sends nothing on it for some time.
func quietSocket(t *testing.T, d *door, authorization string, quiet time.Duration) {
	conn := d.dial()
	defer conn.Close()
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\n%sConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", authorization)
	reader := bufio.NewReader(conn)
	if response, err := http.ReadResponse(reader, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("upgrading: %v, %v", response, err)
		return
	}
	for range 2 {
		time.Sleep(quiet)
		fmt.Fprint(conn, "still there\n")
		if echo, err := reader.ReadString('\n'); err != nil || echo != "still there\n" {
			t.Errorf("after %s: %q, %v", quiet, echo, err)
		}
	}
}

// TestTimeoutOfAnswers: `write` ends a stream that sends events, but not an upgraded connection.
func TestTimeoutOfAnswers(t *testing.T) {
	servertest.SkipUnlessLong(t)
	d := timeoutDoor(t, "write 2s")
	d.upstream.answerWith(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			echoUpgraded(w, r)
			return
		}
		for r.Context().Err() == nil {
			fmt.Fprint(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	})
	authorization := "Host: x\r\nAuthorization: Bearer " + d.token("") + "\r\n"
	var all sync.WaitGroup
	all.Go(func() { quietSocket(t, d, authorization, 3*time.Second) })
	all.Go(func() {
		conn := d.dial()
		defer conn.Close()
		began := time.Now()
		fmt.Fprintf(conn, "GET /events HTTP/1.1\r\n%s\r\n", authorization)
		_, _ = io.Copy(io.Discard, conn)
		if took := time.Since(began); took < time.Second || took > doorTimeout/2 {
			t.Errorf("the stream ended after %s", took)
		}
	})
	all.Wait()
}
