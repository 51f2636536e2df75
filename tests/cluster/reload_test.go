package cluster_test

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// stockFile is a comparable config of Caddy without this plugin.
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
	return insist(n.t, "POST", "http://"+n.admin+"/load", string(config), "Content-Type", "application/json", "Cache-Control", "must-revalidate")
}

// told finds a number in an answer of the node's admin endpoint.
func (n *node) told(path string, number *regexp.Regexp) int {
	n.t.Helper()
	found := number.FindStringSubmatch(must(n.t, "GET", "http://"+n.admin+path, "").body)
	if found == nil {
		n.t.Fatalf("%s does not have %s", path, number)
	}
	count, _ := strconv.Atoi(found[1])
	return count
}

var (
	goroutineTotal = regexp.MustCompile(`total (\d+)`)
	heapInUse      = regexp.MustCompile(`# HeapAlloc = (\d+)`)
)

// goroutines returns the number of goroutines of the process, and heap the bytes in use after a collection.
func (n *node) goroutines() int { return n.told("/debug/pprof/goroutine?debug=1", goroutineTotal) }
func (n *node) heap() int       { return n.told("/debug/pprof/heap?debug=1&gc=1", heapInUse) }

// settled waits until the number of goroutines has not changed for a second.
func (n *node) settled() (count int) {
	n.t.Helper()
	same := 0
	within(n.t, time.Minute, "the number of goroutines stays the same", func() bool {
		time.Sleep(50 * time.Millisecond)
		if now := n.goroutines(); now != count {
			count, same = now, 0
		}
		same++
		return same > 20
	})
	return count
}

// replaced returns a config with parts of it replaced. Each of them must exist.
func replaced(t testing.TB, config []byte, pairs ...string) []byte {
	t.Helper()
	text := string(config)
	for n := 0; n < len(pairs); n += 2 {
		if !strings.Contains(text, pairs[n]) {
			t.Fatalf("there is no %s in %s", pairs[n], text)
		}
		text = strings.ReplaceAll(text, pairs[n], pairs[n+1])
	}
	return []byte(text)
}

// variants returns the node's config, and one that differs.
func (n *node) variants(pairs ...string) [][]byte {
	n.t.Helper()
	return [][]byte{n.config, replaced(n.t, n.config, append(pairs, `"body":"ok"`, `"body":"ok."`)...)}
}

// broken returns configs that Caddy must refuse: two while it provisions modules, because of the issuer or of a door, and
// one while apps start, because an address is in use.
func (n *node) broken(taken string) map[string][]byte {
	n.t.Helper()
	listens := func(url string) string { return `"` + strings.TrimPrefix(url, "http://") + `"` }
	own := `[` + listens(n.url) + `]`
	all := map[string][]byte{"an address is taken": replaced(n.t, n.config, own, `[`+listens(n.url)+`,`+listens(taken)+`]`)}
	for what, change := range map[string][2]string{
		"a door is wrong":     {`"book:{id}:read"`, `"book:{shelf}:read"`},
		"the issuer is wrong": {ttl, `"token_ttl":1`},
	} {
		if strings.Contains(string(n.config), change[0]) { // stock Caddy has neither
			all[what] = replaced(n.t, n.config, change[0], change[1])
		}
	}
	return all
}

const (
	ttl      = `"token_ttl":540000000000`
	otherTTL = `"token_ttl":480000000000`
)

// maxGrowth limits the growth of memory over all reloads, in MB. It includes caches and revocations.
const maxGrowth = 3

// noWorse compares the number of lost requests with that of stock Caddy, for as many clients and reloads. A request is lost
// if it is sent while the former config closes the connection as idle: at most one for each connection and reload, by
// chance. Two such counts of equal probability differ by more than four times the root of their sum once in some ten
// thousand runs.
func noWorse(t testing.TB, name string, ours, stock *load) {
	t.Helper()
	lost, by := float64(ours.lost.Load()), float64(stock.lost.Load())
	if lost-by > 4*math.Sqrt(lost+by)+4 {
		t.Errorf("%s does not answer %s, and stock Caddy %s", name, ours, stock)
	}
	for why, n := range ours.why {
		if why != "EOF" && why != "reset" && why != "broken pipe" {
			t.Errorf("%s: %d connections: %s", name, n, why)
		}
	}
}

// TestReloadUnderLoad replaces the config of a node, of a door elsewhere and of stock Caddy repeatedly under the same load,
// sometimes with a broken config. No answer is wrong, no change is lost, no goroutine or memory leaks, and no more requests
// are unanswered than with stock Caddy.
func TestReloadUnderLoad(t *testing.T) {
	servertest.SkipUnlessLong(t)
	const reloads = 20
	c := newCluster(t, "token_ttl 9m", nil).start()
	stock := newNode(t, strings.ReplaceAll(stockFile, "VARIANT", "ok"), nil).start()
	w := c.prepare()
	var before marks
	before.add(w.revoked.get(0))
	kid := c.a.status().field("issuers", 0, "keys", "active")

	nodes := map[*node][][]byte{c.a: c.a.variants(ttl, otherTTL), c.edge: c.edge.variants(), stock: stock.variants()}
	names := map[*node]string{c.a: "a node", c.edge: "a door elsewhere", stock: "stock Caddy"}
	goroutines, heap := make(map[*node]int), make(map[*node]int)
	for n, configs := range nodes {
		for _, config := range [][]byte{configs[1], configs[0]} {
			if a := n.reload(config); a.status != 200 {
				t.Fatalf("reloading: %s", a)
			}
		}
	}
	for n := range nodes {
		goroutines[n], heap[n] = n.settled(), n.heap()
	}
	issuer, elsewhere, plainly, across := newLoad(t), newLoad(t), newLoad(t), newLoad(t)
	for range 3 { // each has six connections, half of them with requests that have a body
		issuer.run(w.using(c.a.url, []*node{c.a}))
		issuer.run(w.atDoor(c.a.url, &w.revoked))
		elsewhere.run(w.atDoor(c.edge.url, &before))
		elsewhere.run(w.atDoor(c.edge.url, &before))
		plainly.run(func(int) request {
			return request{what: "stock Caddy", method: "POST", url: stock.url + "/", body: w.bot.form("book:*:read"),
				header: []string{"Content-Type", formType}, status: 200, holds: "ok"}
		})
		plainly.run(func(int) request {
			return request{what: "stock Caddy", method: "GET", url: stock.url + "/", status: 200, holds: "ok"}
		})
	}
	across.run(w.using(c.a.url, []*node{c.b, c.edge}))
	for r := range reloads {
		issuer.await(50)
		raw, revoking := w.bot.mustToken(t, c.a.url), make(chan error)
		go func() { // meanwhile
			a, err := ask(plain, "POST", c.a.url+"/oauth2/revoke", w.bot.form("")+"&token="+raw, "Content-Type", formType)
			switch {
			case err == nil && a.status == 200:
				w.revoked.add(raw)
			case err == nil:
				err = fmt.Errorf("it answers %s", a)
				t.Errorf("revoking: %v", err)
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
		if r%5 == 4 {
			for n := range nodes {
				for what, config := range n.broken(c.URL) {
					if a := n.reload(config); a.status == 200 {
						t.Errorf("%s takes a config in which %s", names[n], what)
					}
				}
			}
		}
	}
	issuer.await(200)
	for _, l := range []*load{issuer, elsewhere, plainly, across} {
		l.end()
		l.check()
	}
	t.Logf("not answered over %d reloads: %s at a node, %s elsewhere, %s by stock Caddy", reloads, issuer, elsewhere, plainly)
	for name, l := range map[string]*load{"a node": issuer, "a door elsewhere": elsewhere} {
		noWorse(t, name, l, plainly)
	}
	if got := c.a.status().field("issuers", 0, "keys", "active"); got != kid {
		t.Errorf("it signs with %v, and did with %v", got, kid)
	}
	for _, raw := range w.revoked.list() {
		if a := c.a.atDoor(raw); a.status != 401 {
			t.Errorf("a token that was revoked: %s", a)
		}
		for _, n := range []*node{c.b, c.edge} {
			within(t, 30*time.Second, "a token that was revoked is refused elsewhere", func() bool { return n.atDoor(raw).status == 401 })
		}
	}
	for n, configs := range nodes { // by then, the configs that were under load are gone
		n.reload(configs[1])
		n.reload(configs[0])
	}
	for n, was := range goroutines {
		now, grown := n.settled(), float64(n.heap()-heap[n])/1e6
		if now > was+3 || grown > maxGrowth {
			t.Errorf("%s has %d goroutines, and had %d; its memory has grown by %.1f MB", names[n], now, was, grown)
		}
		t.Logf("%s has %d goroutines, and had %d; %.1f MB, which is %+.2f", names[n], now, was, float64(n.heap())/1e6, grown)
	}
}
