package cluster_test

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestDoorWaitsForRevocations checks that a node that accepts connections before it has read what is revoked, because Caddy
// starts the HTTP app first, lets no request through until then. Its storage blocks in the middle of the read.
func TestDoorWaitsForRevocations(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "", nil)
	a := c.a.start()
	bot := c.client("ci-bot")
	good, revoked := bot.mustToken(t, a.url), bot.mustToken(t, a.url)
	if a := bot.about(t, a.url, "revoke", revoked); a.status != 200 {
		t.Fatalf("revoking: %s", a)
	}
	a.stop()
	found, err := filepath.Glob(filepath.Join(c.storage, "m2m", "*", "revocations", "*.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("what is revoked is in %v, %v", found, err)
	}
	segment, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(found[0], 0o600); err != nil {
		t.Fatal(err)
	}
	for range 20 { // Caddy starts its apps in any order
		if startHeldUp(t, a, found[0], segment, good, revoked) {
			return
		}
		a.kill()
	}
	t.Error("it took no connections before it had read what is revoked, in 20 starts")
}

// startHeldUp starts the node and reports whether it took connections while it could not read the pipe.
func startHeldUp(t *testing.T, n *node, pipe string, segment []byte, good, revoked string) (open bool) {
	t.Helper()
	n.begin()
	var reading *os.File
	within(t, time.Minute, "the node reads what is revoked", func() bool {
		var err error
		reading, err = os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0) // fails until the pipe has a reader
		return err == nil
	})
	defer reading.Close()
	// it listens already, or will not before it has read
	if open = listens(n.url); open {
		impatient := &http.Client{Timeout: time.Second, Transport: plain.Transport}
		for what, raw := range map[string]string{"a good token": good, "a revoked token": revoked} {
			if a, err := ask(impatient, "GET", n.url+"/books/1", "", "Authorization", "Bearer "+raw); err == nil && a.status != 503 {
				t.Errorf("before it can know, %s gets %s", what, a)
			}
		}
	}
	if _, err := reading.Write(segment); err != nil {
		t.Fatal(err)
	}
	reading.Close()
	n.await()
	if a, b := n.atDoor(good), n.atDoor(revoked); a.status != 200 || b.status != 401 {
		t.Errorf("then a good token gets %s, and a revoked one %s", a, b)
	}
	return open
}
