package poll

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
)

func TestReason(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no connection": {"the storage is away", "the storage is away"},
		"IPv4":          {"read tcp 127.0.0.1:57554->127.0.0.1:6379: i/o timeout", "read tcp 127.0.0.1->127.0.0.1:6379: i/o timeout"},
		"IPv6":          {"write tcp [::1]:57554->[::1]:6379: broken pipe", "write tcp [::1]->[::1]:6379: broken pipe"},
		"a zone":        {"read tcp [fe80::1%eth0]:1->[fe80::2%eth0]:443: EOF", "read tcp [fe80::1%eth0]->[fe80::2%eth0]:443: EOF"},
		"two": {
			"lookup a: read udp 10.0.0.1:4711->10.0.0.2:53: i/o timeout\nread tcp 10.0.0.1:4712->10.0.0.3:443: EOF",
			"lookup a: read udp 10.0.0.1->10.0.0.2:53: i/o timeout\nread tcp 10.0.0.1->10.0.0.3:443: EOF",
		},
		"not yet connected": {"dial tcp 127.0.0.1:6379: connect: connection refused", "dial tcp 127.0.0.1:6379: connect: connection refused"},
		"a socket":          {"read unix @->/run/redis.sock: EOF", "read unix @->/run/redis.sock: EOF"},
		"a URL":             {`Get "https://a.example:8443/x": EOF`, `Get "https://a.example:8443/x": EOF`},
	} {
		if got := Reason(errors.New(test.text)); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestReasonOfConnections checks that connections that fail in the same way have the same reason.
func TestReasonOfConnections(t *testing.T) {
	for _, ip := range []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback} {
		lost := func(port int) error {
			return fmt.Errorf("listing keys: %w", &net.OpError{
				Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: ip, Port: port}, Addr: &net.TCPAddr{IP: ip, Port: 6379}, Err: os.ErrDeadlineExceeded,
			})
		}
		if a, b := Reason(lost(57554)), Reason(lost(40000)); a != b {
			t.Errorf("%q is not %q", a, b)
		}
	}
}

func TestFailures(t *testing.T) {
	var failures Failures
	for n, step := range []struct {
		err    error // nil is that it worked
		isNew  bool
		reason string
	}{
		{nil, false, ""},
		{errors.New("read 10.0.0.1:1->10.0.0.2:6379: EOF"), true, "read 10.0.0.1->10.0.0.2:6379: EOF"},
		{errors.New("read 10.0.0.1:2->10.0.0.2:6379: EOF"), false, "read 10.0.0.1->10.0.0.2:6379: EOF"},
		{os.ErrClosed, true, os.ErrClosed.Error()},
		{nil, true, ""},
		{nil, false, ""},
		{os.ErrClosed, true, os.ErrClosed.Error()},
	} {
		isNew := false
		if step.err == nil {
			isNew = failures.Succeeded()
		} else {
			isNew = failures.Failed(step.err)
		}
		if isNew != step.isNew || failures.Reason() != step.reason {
			t.Errorf("step %d: isNew %t, reason %q", n, isNew, failures.Reason())
		}
	}
}
