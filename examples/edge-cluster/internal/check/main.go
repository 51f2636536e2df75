// Command check verifies what a running cluster promises: two nodes are one issuer; a token revoked at one is refused at
// the other; and no answer is wrong when Redis is killed, restarts, or is suddenly empty. ./check runs it.
package main

import (
	"fmt"
	"log"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	c := newCluster()
	c.oneIssuer()
	bot, disabled := c.clients()
	c.revocation(bot)

	good, revoked := bot.mustToken(c.issuer), bot.mustToken(c.issuer)
	want(bot.about(c.a.url, "revoke", revoked).status == 200, "revoking")
	eventually("B refuses it", func() bool { return refused(c.b.url, revoked) })
	eventually("the edge accepts the good one", func() bool { return accepted(c.edge, good) })
	load := startLoad(c.loadOf(bot, disabled, c.a.mustCreate("unseen", 200), good, revoked))
	made := c.startChanges(bot)
	keys := c.keys()

	c.refusing()
	c.killed(bot, good)
	c.back(keys)
	made.end()
	made.areThere(c)
	c.empty(bot, good)
	c.back(keys)
	made.areThere(c)

	step("every answer during the outages was right")
	load.end()

	step("after a reload, node B reads all changes from Redis")
	c.reload(c.b, c.port+2)
	made.areThere(c)
	want(c.keys() == keys, "the keys are %s, and were %s", c.keys(), keys)
	step("all checks have passed")
}

var begun = time.Now()

func step(what string) { log.Printf("%3.0f s  %s", time.Since(begun).Seconds(), what) }

func (c *cluster) oneIssuer() {
	step("two nodes start as one issuer, with one key")
	for _, n := range c.nodes() {
		eventually(n.name+" is healthy", func() bool { return c.healthy(n) })
	}
	eventually("the balancer reaches the nodes", func() bool {
		a, err := ask("GET", c.issuer+"/oauth2/jwks", "")
		return err == nil && a.status == 200
	})
	jwks := mustAsk("GET", c.issuer+"/oauth2/jwks", "").body
	for _, n := range c.nodes() {
		want(mustAsk("GET", n.url+"/oauth2/jwks", "").body == jwks, "%s publishes other keys", n.name)
	}
}

// keys returns the keys that Redis has.
func (c *cluster) keys() string {
	return c.mustM2M("key", "list", "--address", c.a.admin, "--format", "json")
}

// says reports whether a client that asks for a token gets this answer at both nodes.
func (c *cluster) says(status int, who client) func() bool {
	return func() bool {
		for _, n := range c.nodes() {
			if a, err := who.token(n.url); err != nil || a.status != status {
				return false
			}
		}
		return true
	}
}

func (c *cluster) clients() (bot, disabled client) {
	step("a client that is created at one node gets tokens at both")
	c.mustM2M("resource", "create", "book", "--action", "read=Read", "--address", c.a.admin)
	bot, disabled = c.b.mustCreate("bot", 1)[0], c.a.mustCreate("former", 1)[0]
	eventually("both nodes give tokens", c.says(200, bot))
	eventually("both nodes give tokens", c.says(200, disabled))

	step("a client that is disabled at one node is refused at both")
	c.mustM2M("client", "disable", bot.id, "--address", c.a.admin)
	eventually("both nodes refuse it", c.says(401, bot))
	c.mustM2M("client", "enable", bot.id, "--address", c.b.admin)
	eventually("both nodes give it tokens again", c.says(200, bot))
	c.mustM2M("client", "disable", disabled.id, "--address", c.b.admin)
	eventually("both nodes refuse it", c.says(401, disabled))
	return bot, disabled
}

// revocation revokes tokens at A, by their client and by command, some at the same time. It sends each to B's door and to
// the edge until they refuse it, and measures the time.
func (c *cluster) revocation(bot client) {
	step("a token that is revoked at node A is refused at the door of node B and at the edge")
	// the bound of docs/cluster.md, and the time of a poll and a command on a busy machine
	bounds := map[string]time.Duration{"node B": 2 * time.Second, "the edge": 10 * time.Second}
	doors := map[string]string{"node B": c.b.url, "the edge": c.edge}
	ways := map[string]func(token string){
		"the endpoint":     func(token string) { want(bot.about(c.a.url, "revoke", token).status == 200, "revoking") },
		"caddy m2m revoke": func(token string) { c.mustM2M("revoke", "--jti", idOf(token), "--address", c.a.admin) },
	}
	const tries = 10
	took := make(map[string][]time.Duration)
	var mu sync.Mutex
	var revoking sync.WaitGroup
	for _, revoke := range ways {
		for n := range tries {
			token := bot.mustToken(c.b.url)
			want(accepted(c.a.url, token) && accepted(c.b.url, token) && accepted(c.edge, token), "a good token is refused")
			revoking.Go(func() {
				time.Sleep(time.Duration(n) * 370 * time.Millisecond) // at all phases of B's poll interval
				revoke(token)
				want(refused(c.a.url, token), "A accepts a token that it has revoked")
				for door, at := range doors {
					revoking.Go(func() {
						after := eventually(door+" refuses it", func() bool { return refused(at, token) })
						mu.Lock()
						defer mu.Unlock()
						took[door] = append(took[door], after)
					})
				}
			})
		}
	}
	revoking.Wait()
	for door, all := range took {
		slices.Sort(all)
		last := all[len(all)-1]
		log.Printf("       refused by %s after %s (median of %d), %s at most", door, all[len(all)/2].Round(time.Millisecond), len(all), last.Round(time.Millisecond))
		want(last < bounds[door]+4*time.Second, "it took too long")
	}
}

// refusing makes Redis answer every read with an error. Then no object may count as missing. Redis also lists an object that
// it does not have, as after a crash while it stores one.
func (c *cluster) refusing() {
	step("if Redis refuses reads, the nodes report it, and no client counts as unknown")
	unseen := c.a.mustCreate("another", 20)
	for folder := range strings.FieldsSeq(c.redis("KEYS */revocations")) {
		if strings.HasSuffix(folder, "/revocations") {
			c.redis("ZADD " + folder + " 0 999999999999-unseen-00000001.json")
		}
	}
	c.redis("ACL SETUSER default -get")
	for _, n := range c.nodes() {
		eventually(n.name+" says that it is not healthy", func() bool { return !c.healthy(n) })
		for _, who := range unseen {
			a, err := who.token(n.url)
			want(err == nil && a.unavailable(), "a client that cannot be read at %s: %s, %v", n.name, a, err)
		}
	}
	c.redis("ACL SETUSER default +get")
	for _, n := range c.nodes() {
		eventually(n.name+" is healthy", func() bool { return c.healthy(n) })
	}
	eventually("both nodes give tokens to all", func() bool {
		return !slices.ContainsFunc(unseen, func(who client) bool { return !c.says(200, who)() })
	})
}

func (c *cluster) killed(bot client, good string) {
	step("without Redis, the nodes use what is in memory, answer 503 otherwise, and report it")
	c.killRedis()
	c.outage(bot, good)
}

// empty replaces Redis with one without data. A node must not treat it as a new issuer.
func (c *cluster) empty(bot client, good string) {
	step("with an empty Redis, the same holds, and no key is made")
	c.killRedis()
	for _, n := range c.nodes() {
		eventually(n.name+" says that it is not healthy", func() bool { return c.saysNotHealthy(n) })
	}
	c.startRedis("empty")
	eventually("Redis is there", func() bool { return strings.HasPrefix(c.redis("PING"), "+PONG") })
	c.outage(bot, good)
	for _, n := range c.nodes() {
		eventually(n.name+" says that the keys and the registry are gone", func() bool {
			output, _ := c.m2m("status", "--address", n.admin)
			return strings.Contains(output, "keys is empty, and had keys") && strings.Contains(output, "journal.json: it was there and is gone")
		})
	}
	has := c.redis("KEYS *")
	want(strings.HasPrefix(has, "*"), "Redis answers %q", has)
	for _, part := range []string{"/keys/", "/registry/", "/revocations/"} {
		want(!strings.Contains(has, part), "something was stored: %q", has)
	}
	c.killRedis()
}

// outage checks what both nodes do without their storage.
func (c *cluster) outage(bot client, good string) {
	var asking sync.WaitGroup
	defer asking.Wait()
	for _, n := range c.nodes() {
		asking.Go(func() {
			eventually(n.name+" says that it is not healthy", func() bool { return c.saysNotHealthy(n) })
			before := n.revocationsAge()
			eventually("the age of the revocations grows at "+n.name, func() bool { return n.revocationsAge() > before+1 })
		})
		asking.Go(func() {
			_, a := n.create("film-bot")
			want(a.unavailable(), "a change at %s answers %s", n.name, a)
		})
		asking.Go(func() {
			a := bot.about(n.url, "revoke", good)
			want(a.unavailable(), "revoking at %s answers %s", n.name, a)
		})
		asking.Go(func() {
			a, err := client{fmt.Sprint("unseen-", time.Now().UnixNano()), bot.secret}.token(n.url)
			want(err == nil && a.unavailable(), "a client that is not in memory at %s: %s, %v", n.name, a, err)
		})
		asking.Go(func() {
			eventually(n.name+" does not report a token as active", func() bool { return bot.about(n.url, "introspect", good).unavailable() })
		})
	}
}

func (n node) revocationsAge() float64 {
	age, err := strconv.ParseFloat(n.metric("caddy_m2m_revocations_age_seconds", ""), 64)
	want(err == nil, "%s has no age of its revocations", n.name)
	return age
}

func (c *cluster) back(keys string) {
	step("when Redis is back with its data, the nodes recover by themselves")
	c.startRedis("redis")
	started := time.Now()
	for _, n := range c.nodes() {
		eventually(n.name+" is healthy", func() bool { return c.healthy(n) })
	}
	log.Printf("       both nodes are healthy after %s", time.Since(started).Round(100*time.Millisecond))
	want(c.keys() == keys, "the keys are %s, and were %s", c.keys(), keys)
	late := c.a.mustCreate(fmt.Sprint("late-", started.UnixNano()), 1)[0]
	eventually("both nodes give tokens to a new client", c.says(200, late))
	c.mustM2M("client", "disable", late.id, "--address", c.a.admin)
	took := eventually("B refuses it", c.says(401, late))
	log.Printf("       B refuses a client %s after A has disabled it", took.Round(time.Millisecond))
}
