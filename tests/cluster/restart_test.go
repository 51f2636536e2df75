package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestRestartUnderLoad stops and kills each node in turn and starts it again. Some requests are not answered meanwhile, but
// none is answered wrongly. What a node acknowledged is in force from its first response on, and at the other node. With a
// balancer that tries the other node, every request is answered.
func TestRestartUnderLoad(t *testing.T) {
	servertest.SkipUnlessLong(t)
	t.Parallel()
	c := newCluster(t, "", nil).start()
	w := c.prepare()
	keys := must(t, "GET", c.b.url+"/oauth2/jwks", "").body
	nodes := []*node{c.a, c.b}
	balanced, elsewhere := newLoad(t), newLoad(t)
	direct := map[*node]*load{c.a: newLoad(t), c.b: newLoad(t)}
	revoked := map[*node]*marks{c.a: new(marks), c.b: new(marks)}
	var before marks
	before.add(w.revoked.get(0))
	for _, n := range nodes {
		revoked[n].add(w.revoked.get(0))
		direct[n].run(w.atDoor(n.url, revoked[n]))
		direct[n].run(w.atIssuer(n.url))
	}
	balanced.run(w.using(c.URL, []*node{c.edge}))
	balanced.run(w.atDoor(c.URL, &before))
	elsewhere.run(w.atDoor(c.edge.url, &before))
	made := make(map[string]secret)
	for r := range 8 {
		n, crash := nodes[r%2], r/2%2 == 0
		balanced.await(50)
		client := n.clientOf(fmt.Sprint("bot-", r))
		made[client.id] = client
		last := w.revoke(c, n)
		revoked[n].add(last)
		if crash {
			n.kill()
		} else {
			n.stop()
		}
		balanced.await(50)
		n.begin()
		within(t, time.Minute, "the node takes connections", func() bool { return listens(n.url) })
		if a := n.atDoor(last); a.status != 401 {
			t.Errorf("its first answer to a token that was revoked before it stopped: %s", a)
		}
		if a, err := client.token(plain, n.url); err != nil || a.status != 200 {
			t.Errorf("a client that was created before it stopped: %s, %v", a, err)
		}
		n.await()
	}
	for _, l := range []*load{balanced, elsewhere, direct[c.a], direct[c.b]} {
		l.end()
		l.check()
	}
	if n := balanced.lost.Load() + elsewhere.lost.Load(); n > 0 {
		t.Errorf("not answered although another node could: %s balanced, %s elsewhere", balanced, elsewhere)
	}
	t.Logf("not answered: %s by A, %s by B, %s balanced, %s elsewhere", direct[c.a], direct[c.b], balanced, elsewhere)
	for _, n := range nodes {
		if got := must(t, "GET", n.url+"/oauth2/jwks", "").body; got != keys {
			t.Errorf("it publishes %s, want %s", got, keys)
		}
		for _, client := range made {
			within(t, 10*time.Second, "the client gets a token", func() bool {
				a, err := client.token(plain, n.url)
				return err == nil && a.status == 200
			})
		}
	}
	for _, n := range []*node{c.a, c.b, c.edge} {
		if a := n.atDoor(w.good); a.status != 200 {
			t.Errorf("a token from before the restart: %s", a)
		}
		for _, raw := range w.revoked.list() {
			within(t, 30*time.Second, "what was revoked is refused", func() bool { return n.atDoor(raw).status == 401 })
		}
	}
}
