package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// target is a site with the requests that it gets, over kept-alive connections. It speaks HTTP by
// hand, for net/http's client would take more time than some of the sites.
type target struct {
	name     string
	address  string
	requests [][]byte
	next     atomic.Int64
	clients  []*client
	took     time.Duration
	cpu      time.Duration // of the whole process
	answered int
}

type client struct {
	conn   net.Conn
	reader *bufio.Reader
}

func newTarget(b *testing.B, name, site string, requests ...*http.Request) *target {
	b.Helper()
	t := &target{name: name}
	for _, r := range requests {
		var raw bytes.Buffer
		if err := r.Write(&raw); err != nil {
			b.Fatal(err)
		}
		t.requests = append(t.requests, raw.Bytes())
	}
	address, err := url.Parse(site)
	if err != nil {
		b.Fatal(err)
	}
	t.address = address.Host
	t.dial(b)
	return t
}

// dial makes new connections, which a new config has to have.
func (t *target) dial(b *testing.B) {
	b.Helper()
	t.clients = nil
	for range parallelClients {
		conn, err := net.Dial("tcp", t.address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		t.clients = append(t.clients, &client{conn, bufio.NewReader(conn)})
	}
}

// round has every client send its share of a batch, all at once.
func (t *target) round(b *testing.B) {
	start, cpu := time.Now(), cpuTime(b)
	var group sync.WaitGroup
	for _, c := range t.clients {
		group.Go(func() {
			for range batch / parallelClients {
				raw := t.requests[int(t.next.Add(1)-1)%len(t.requests)]
				if _, err := c.send(raw); err != nil {
					b.Errorf("%s: %v", t.name, err)
					return
				}
			}
		})
	}
	group.Wait()
	t.took += time.Since(start)
	t.cpu += cpuTime(b) - cpu
	t.answered += batch / parallelClients * parallelClients
}

func (c *client) send(raw []byte) ([]byte, error) {
	if _, err := c.conn.Write(raw); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, nil
}

// cpuTime is what the process has taken of the CPUs so far.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// rate is requests per second.
func (t *target) rate() float64 { return float64(t.answered) / t.took.Seconds() }
