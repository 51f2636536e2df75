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
	for range parallelClients {
		c, err := t.dial()
		if err != nil {
			b.Fatal(err)
		}
		t.clients = append(t.clients, c)
	}
	b.Cleanup(t.hangUp)
	return t
}

func (t *target) dial() (*client, error) {
	conn, err := net.Dial("tcp", t.address)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

func (t *target) hangUp() {
	for _, c := range t.clients {
		c.conn.Close()
	}
	t.clients = nil
}

// redial makes new connections after a new config. One that the former config still takes is of no use.
func (t *target) redial(b *testing.B) {
	b.Helper()
	t.hangUp()
	for tries := 0; len(t.clients) < parallelClients; tries++ {
		c, err := t.dial()
		if err == nil {
			if _, err = c.send(t.requests[0]); err == nil {
				t.clients = append(t.clients, c)
				continue
			}
			c.conn.Close()
		}
		if tries > 100 {
			b.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// warmUp is a round that does not count.
func (t *target) warmUp(b *testing.B) {
	took, cpu, answered := t.took, t.cpu, t.answered
	t.round(b)
	t.took, t.cpu, t.answered = took, cpu, answered
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
