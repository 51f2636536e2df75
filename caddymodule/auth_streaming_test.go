package caddymodule_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestWebSocketPasses: an upgraded connection transports both ways, although its Connection header names an identity header.
func TestWebSocketPasses(t *testing.T) {
	d := newDoor(t, "require GET /socket socket:open")
	d.upstream.answerWith(echoUpgraded)
	conn := d.dial()
	defer conn.Close()
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, X-Client-Id\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", d.token("socket:open"))
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("X-Seen") != "demo" {
		t.Fatalf("%s, client %q", response.Status, response.Header.Get("X-Seen"))
	}
	for n := range 3 {
		message := fmt.Sprintf("frame %d\n", n)
		if _, err := io.WriteString(conn, message); err != nil {
			t.Fatal(err)
		}
		if echo, err := reader.ReadString('\n'); err != nil || echo != message {
			t.Fatalf("echo %q, %v", echo, err)
		}
	}
}

func TestWebSocketIsRefusedLikeAnyRequest(t *testing.T) {
	d := newDoor(t, "require GET /socket socket:open")
	got := d.askRaw("GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer " + d.token("socket:watch") + "\r\n\r\n")
	if got.status != http.StatusForbidden || got.member("scope") != "socket:*:open" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// echoUpgraded speaks no WebSocket frames: to the door an upgraded connection is bytes.
func echoUpgraded(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(doorTimeout)); err != nil {
		return
	}
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Seen: %s\r\n\r\n", r.Header.Get("X-Client-Id"))
	_, _ = io.Copy(conn, buffered)
}

// TestServerSentEventsArriveAtOnce: the upstream waits for the client before each further event.
func TestServerSentEventsArriveAtOnce(t *testing.T) {
	d := newDoor(t, "")
	received := make(chan struct{})
	d.upstream.answerWith(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", n)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-received:
			case <-r.Context().Done():
				return
			}
		}
	})
	conn := d.dial()
	defer conn.Close()
	fmt.Fprintf(conn, "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", d.token(""))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	events := bufio.NewReader(response.Body)
	for n := range 3 {
		line, err := events.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", n); err != nil || line != want {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = events.ReadString('\n')
		received <- struct{}{}
	}
}

// TestLargeUploadsAreStreamed sends 64 MiB. The client sends a part after the upstream has read the former one, so nothing
// between them can buffer the body.
func TestLargeUploadsAreStreamed(t *testing.T) {
	const part, parts = 8 << 20, 8
	d := newDoor(t, "require PUT /upload upload:write")
	arrived, sums := make(chan struct{}), make(chan []byte, 1)
	d.upstream.answerWith(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		for range parts {
			if _, err := io.CopyN(sum, r.Body, part-64<<10); err != nil { // the rest may be in buffers
				return
			}
			arrived <- struct{}{}
			_, _ = io.CopyN(sum, r.Body, 64<<10)
		}
		sums <- sum.Sum(nil)
	})
	conn := d.dial()
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n", part*parts, d.token("upload:write"))
	sent := sha256.New()
	for n := range parts {
		sendPart(t, conn, sent, byte(n), part)
		select {
		case <-arrived:
		case <-time.After(doorTimeout):
			t.Fatalf("part %d does not arrive", n)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	if got := <-sums; string(got) != string(sent.Sum(nil)) {
		t.Error("another body arrived")
	}
}

func sendPart(t *testing.T, conn net.Conn, sum hash.Hash, fill byte, size int) {
	t.Helper()
	part := make([]byte, size)
	for n := range part {
		part[n] = fill ^ byte(n>>8)
	}
	sum.Write(part)
	if _, err := conn.Write(part); err != nil {
		t.Fatal(err)
	}
}
