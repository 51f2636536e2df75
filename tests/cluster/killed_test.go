package cluster_test

import (
	"testing"
	"time"
)

// TestChangeAfterAKill checks that after a node was killed while it held a lock, neither another node nor the restarted node
// waits for the ten seconds after which the lock is stale.
func TestChangeAfterAKill(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "", nil).start()
	c.client("ci-bot")
	change := func(n *node, body string) time.Duration {
		began := time.Now()
		n.want(200, "PATCH", "/clients/ci-bot", body)
		return time.Since(began)
	}
	change(c.a, `{"description": "by A"}`) // which keeps the lock for a moment
	c.a.kill()
	if took := change(c.b, `{"description": "by B"}`); took > 5*time.Second {
		t.Errorf("after A was killed a change at B took %s", took)
	}
	c.a.start()
	change(c.a, `{"description": "by A again"}`)
	c.a.kill()
	c.a.start()
	if took := change(c.a, `{"description": "by A, started again"}`); took > 5*time.Second {
		t.Errorf("after A was killed and started again a change at A took %s", took)
	}
}
