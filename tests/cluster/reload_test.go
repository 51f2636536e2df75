package cluster_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stockFile is Caddy without this plugin, on the same terms.
const stockFile = `{
	admin ADMIN
	auto_https off
}
http://:PORT {
	bind 127.0.0.1
	metrics /metrics
	respond /ready ok
	respond /* "VARIANT"
}
`

// reload replaces the node's config, and returns what Caddy says.
func (n *node) reload(config []byte) answer {
	n.t.Helper()
	return must(n.t, "POST", "http://"+n.admin+"/load", string(config), "Content-Type", "application/json", "Cache-Control", "must-revalidate")
}

var goroutineTotal = regexp.MustCompile(`total (\d+)`)

// goroutines is how many the process has, without those of connections.
func (n *node) goroutines() int {
	n.t.Helper()
	found := goroutineTotal.FindStringSubmatch(must(n.t, "GET", "http://"+n.admin+"/debug/pprof/goroutine?debug=1", "").body)
	if found == nil {
		n.t.Fatal("how many goroutines there are is not told")
	}
	total, _ := strconv.Atoi(found[1])
	return total
}

// TestReloadUnderLoad replaces the config of a node, of a door elsewhere and of stock Caddy again and again under the same
// load, a broken one now and then. Nothing is answered wrongly, nothing is lost, nothing is left behind, and no more
// requests go unanswered than stock Caddy leaves.
func TestReloadUnderLoad(t *testing.T) {
	const reloads = 20
	c := newCluster(t, "", nil).start()
	stock := newNode(t, strings.ReplaceAll(stockFile, "VARIANT", "ok"), nil).start()
	w := c.prepare()
	var before marks
	before.add(w.revoked.get(0))
	kid := c.a.status().field("issuers", 0, "keys", "active")

	variants := func(n *node) [][]byte {
		return [][]byte{n.config, []byte(strings.Replace(string(n.config), `"body":"ok"`, `"body":"ok."`, 1))}
	}
	nodes := map[*node][][]byte{c.a: variants(c.a), c.edge: variants(c.edge), stock: variants(stock)}
	goroutines := make(map[*node]int)
	for n, configs := range nodes {
		if string(configs[0]) == string(configs[1]) {
			t.Fatalf("the configs do not differ: %s", configs[0])
		}
		n.reload(configs[1])
		n.reload(configs[0])
		time.Sleep(time.Second) // until what the former configs began has ended
		goroutines[n] = n.goroutines()
	}
	issuer, elsewhere, plainly := newLoad(t), newLoad(t), newLoad(t)
	for range 2 {
		issuer.run(w.atIssuer(c.a.url))
		issuer.run(w.atDoor(c.a.url, &w.revoked))
		elsewhere.run(w.atDoor(c.edge.url, &before))
		plainly.run(func(int) request {
			return request{"stock Caddy", "POST", stock.url + "/", w.bot.form("book:*:read"), []string{"Content-Type", formType}, 200, "ok"}
		})
		plainly.run(func(int) request { return request{"stock Caddy", "GET", stock.url + "/", "", nil, 200, "ok"} })
	}
	for r := range reloads {
		issuer.await(50)
		raw, revoking := w.bot.mustToken(t, c.a.url), make(chan error)
		go func() { // meanwhile
			a, err := ask(plain, "POST", c.a.url+"/oauth2/revoke", w.bot.form("")+"&token="+raw, "Content-Type", formType)
			if err == nil && a.status == 200 {
				w.revoked.add(raw)
			}
			revoking <- err
		}()
		for n, configs := range nodes {
			if a := n.reload(configs[(r+1)%2]); a.status != 200 {
				t.Errorf("reloading: %s", a)
			}
		}
		if err := <-revoking; err != nil {
			t.Logf("revoking: %v", err)
		}
		w.revoke(c, c.a)
		if r%5 == 0 {
			broken := strings.Replace(string(c.a.config), audience, "not a URL", 1)
			if a := c.a.reload([]byte(broken)); a.status == 200 {
				t.Error("a broken config is taken")
			}
		}
	}
	issuer.await(200)
	for _, l := range []*load{issuer, elsewhere, plainly} {
		l.end()
		l.check()
	}
	share := func(l *load) float64 { return 1000 * float64(l.lost.Load()) / float64(l.requests.Load()) }
	t.Logf("not answered over %d reloads: %d of %d at a node, %d of %d elsewhere, %d of %d by stock Caddy", reloads,
		issuer.lost.Load(), issuer.requests.Load(), elsewhere.lost.Load(), elsewhere.requests.Load(), plainly.lost.Load(), plainly.requests.Load())
	// a connection may be closed while a request is on its way: some four connections for each reload, by whomever they are closed
	for name, l := range map[string]*load{"a node": issuer, "a door elsewhere": elsewhere} {
		if share(l) > share(plainly)+5 {
			t.Errorf("%s leaves %.1f of 1000 requests unanswered, and stock Caddy %.1f", name, share(l), share(plainly))
		}
	}
	if got := c.a.status().field("issuers", 0, "keys", "active"); got != kid {
		t.Errorf("it signs with %v, and did with %v", got, kid)
	}
	for _, raw := range w.revoked.list() {
		if a := c.a.atDoor(raw); a.status != 401 {
			t.Errorf("a token that was revoked: %s", a)
		}
	}
	for n, was := range goroutines {
		within(t, 30*time.Second, "there are as many goroutines as before", func() bool { return n.goroutines() <= was+3 })
	}
}

// TestRestartUnderLoad ends a node and starts it again, as an operator does and as a power failure does. Requests go
// unanswered meanwhile, and none is answered wrongly; what it had acknowledged is in force from its first answer on. A
// balancer that asks the other node leaves no request for a token unanswered.
func TestRestartUnderLoad(t *testing.T) {
	c := newCluster(t, "", nil).start()
	w := c.prepare()
	kid := c.a.status().field("issuers", 0, "keys", "active")
	direct, balanced, elsewhere := newLoad(t), newLoad(t), newLoad(t)
	var before marks
	before.add(w.revoked.get(0))
	direct.run(w.atDoor(c.a.url, &w.revoked))
	direct.run(w.atIssuer(c.a.url))
	balanced.run(w.atIssuer(c.URL))
	elsewhere.run(w.atDoor(c.edge.url, &before))
	for r := range 6 {
		balanced.await(50)
		last := w.revoke(c, c.a)
		if r%2 == 0 {
			c.a.kill()
		} else {
			c.a.stop()
		}
		balanced.await(20)
		c.a.begin()
		within(t, time.Minute, "the node answers", func() bool { return listens(c.a.url) })
		if a := c.a.atDoor(last); a.status != 401 {
			t.Errorf("its first answer to what was revoked before: %s", a)
		}
		c.a.await()
	}
	for _, l := range []*load{direct, balanced, elsewhere} {
		l.end()
		l.check()
	}
	if n := balanced.lost.Load() + elsewhere.lost.Load(); n > 0 {
		t.Errorf("%d requests were not answered although another node could", n)
	}
	if got := c.a.status().field("issuers", 0, "keys", "active"); got != kid {
		t.Errorf("it signs with %v, and did with %v", got, kid)
	}
	for _, door := range []*node{c.a, c.b} {
		if a := door.atDoor(w.good); a.status != 200 {
			t.Errorf("a token of before: %s", a)
		}
		for _, raw := range w.revoked.list() {
			within(t, 10*time.Second, "what was revoked is refused", func() bool { return door.atDoor(raw).status == 401 })
		}
	}
	t.Logf("%d requests directly, of which %d went unanswered; %d through the balancer, %d elsewhere",
		direct.requests.Load(), direct.lost.Load(), balanced.requests.Load(), elsewhere.requests.Load())
}
