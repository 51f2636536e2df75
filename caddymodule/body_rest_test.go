package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestTheRestOfABodyIsNoRequest: the server does not read the rest of a body as requests, however the first request ends. A
// proxy in front would give their answers to other clients.
func TestTheRestOfABodyIsNoRequest(t *testing.T) {
	servertest.SkipUnlessLong(t)
	for name, subdirectives := range map[string]string{"by default": "", "with keep_streams": "keep_streams\n"} {
		t.Run(name, func(t *testing.T) {
			d := newDoorSite(t, "{\nservers {\ntimeouts {\nread_body_idle 1s\n}\n}\n}\n"+
				doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n"+subdirectives+"}\nrespond /here here\nreverse_proxy UPSTREAM"))
			d.upstream.answerWith(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/early") {
					w.Header().Set("Connection", "close")
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
			})
			token := d.token("")
			for what, request := range map[string]string{
				"the client stalls":                   "PUT /late HTTP/1.1\r\nContent-Length: 100000\r\n",
				"the client stalls, in chunks":        "PUT /late HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
				"the upstream answers early":          "PUT /early HTTP/1.1\r\nContent-Length: 10000000\r\n",
				"the upstream answers early, in time": "PUT /early HTTP/1.1\r\nContent-Length: 1000\r\n",
				"nothing is proxied":                  "PUT /here HTTP/1.1\r\nContent-Length: 10000000\r\n",
			} {
				request = strings.Replace(request, "\r\n", "\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n", 1) + "\r\n"
				if strings.Contains(request, "chunked") {
					request += "5\r\nhello\r\n"
				}
				if answers := answersTo(t, d.dial(), request, "GET /smuggled HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n"); answers != 1 {
					t.Errorf("%s: %d answers to one request", what, answers)
				}
			}
			for _, seen := range d.upstream.taken() {
				if seen.URL.Path == "/smuggled" {
					t.Error("the upstream got a part of a body as a request")
				}
			}
		})
	}
}

// answersTo sends a request whose body goes on with the rest once there is an answer, and counts the answers until
// the server closes the connection or is silent.
func answersTo(t *testing.T, conn net.Conn, request, rest string) (answers int) {
	t.Helper()
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return answers
		}
		answers++
		_, _ = io.Copy(io.Discard, response.Body)
		for range 3 {
			_, _ = fmt.Fprint(conn, rest) // fails when the connection is closed
		}
	}
}
