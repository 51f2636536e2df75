package cluster_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestOneClientCannotFillTheFeed: a client revokes more tokens, one by one, than docs/storage.md allows. Its revocations succeed
// at both nodes. They become one revocation of the client, at the nodes, in the storage and at a door elsewhere, where each of
// its revoked tokens is refused, and its new tokens and those of another client are not.
func TestOneClientCannotFillTheFeed(t *testing.T) {
	servertest.SkipUnlessLong(t)
	c := newCluster(t, "", nil).start()
	bot, ant := c.client("ci-bot"), c.client("ant")
	c.a.want(200, "PATCH", "/clients/ci-bot", `{"limits": {"rate": "100000/s", "burst": 100000, "concurrent": 1000}}`)
	within(t, 10*time.Second, "B knows the client", bot.answered(c.b, 200))
	ants := ant.mustToken(t, c.a.url)

	const many = 10_500
	tokens := make([]string, many)
	work := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for k := range work {
				at := []*node{c.a, c.b}[k%2]
				tokens[k] = bot.mustToken(t, at.url)
				if a := bot.about(t, at.url, "revoke", tokens[k]); a.status != http.StatusOK {
					t.Errorf("revoking the token %d: %s", k, a)
				}
			}
		})
	}
	for k := range many {
		work <- k
	}
	close(work)
	workers.Wait()

	for name, n := range map[string]*node{"A": c.a, "B": c.b} {
		within(t, 60*time.Second, name+" has few revocations", func() bool {
			// A node may have learned of the last ones of the other only now, and counts when it is asked.
			bot.about(t, n.url, "revoke", bot.mustToken(t, n.url))
			count, err := strconv.ParseFloat(n.metric("caddy_m2m_revocations", "issuer", c.URL), 64)
			return err == nil && count < 7000
		})
	}
	within(t, 90*time.Second, "the storage has few objects", func() bool {
		objects, err := filepath.Glob(filepath.Join(c.storage, "m2m", "*", "revocations", "*.json"))
		return err == nil && len(objects) < 20
	})
	kept := bot.mustToken(t, c.a.url)
	for name, door := range map[string]*node{"A": c.a, "B": c.b, "the edge": c.edge} {
		for k := 0; k < many; k += 500 {
			within(t, 20*time.Second, fmt.Sprintf("%s refuses the token %d", name, k), func() bool { return door.atDoor(tokens[k]).status == 401 })
		}
		for what, raw := range map[string]string{"a new token": kept, "another client's token": ants} {
			if a := door.atDoor(raw); a.status != 200 {
				t.Errorf("%s at %s: %s", what, name, a)
			}
		}
	}
}
