package main

import (
	"fmt"
	"log"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A load sends many concurrent requests during the whole check. Each must get a right answer, whatever happens to Redis.
type load struct {
	done    atomic.Bool
	workers sync.WaitGroup

	mu    sync.Mutex
	right map[string]int
	wrong map[string]int // by answer
}

// A kind is a kind of request. Only requests that need Redis may be unavailable.
type kind struct {
	what       string
	status     int
	onlyStored bool
	send       func(n int) (answer, error)
}

func startLoad(kinds []kind) *load {
	l := &load{right: make(map[string]int), wrong: make(map[string]int)}
	for _, k := range kinds {
		l.workers.Go(func() {
			for n := 0; !l.done.Load(); n++ {
				a, err := k.send(n)
				l.count(k, a, err)
				time.Sleep(20 * time.Millisecond) // the check needs many kinds of requests, not the highest rate
			}
		})
	}
	return l
}

func (l *load) count(k kind, a answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.wrong[fmt.Sprintf("%s: %v", k.what, err)]++
	case a.status != k.status && !(k.onlyStored && a.unavailable()):
		l.wrong[fmt.Sprintf("%s: %s", k.what, a)]++
	default:
		l.right[fmt.Sprintf("%d for %s", a.status, k.what)]++
	}
}

// end prints the counts of the answers, and ends the check if an answer was wrong.
func (l *load) end() {
	l.done.Store(true)
	l.workers.Wait()
	for _, what := range slices.Sorted(maps.Keys(l.right)) {
		log.Printf("       %5d × %s", l.right[what], what)
	}
	for _, what := range slices.Sorted(maps.Keys(l.wrong)) {
		log.Printf("       %5d × WRONG %s", l.wrong[what], what)
	}
	want(len(l.wrong) == 0, "these answers")
}

// loadOf returns the requests of clients: for tokens at the issuer and at each node, and for books at each door. The nodes'
// doors already know that a token is revoked. The unseen clients have not asked for a token yet, and no node has them in memory.
func (c *cluster) loadOf(bot, disabled client, unseen []client, good, revoked string) []kind {
	var kinds []kind
	add := func(status int, what string, send func() (answer, error)) {
		kinds = append(kinds, kind{what, status, false, func(int) (answer, error) { return send() }})
	}
	atIssuer := func(name, at string) {
		wrong := client{bot.id, bot.secret[:len(bot.secret)-1] + "_"}
		add(200, "a token at "+name, func() (answer, error) { return bot.token(at) })
		add(401, "a wrong secret at "+name, func() (answer, error) { return wrong.token(at) })
		kinds = append(kinds, kind{"a disabled client at " + name, 401, true, func(int) (answer, error) { return disabled.token(at) }})
	}
	door := func(name, at string) {
		add(200, "a good token at the door of "+name, func() (answer, error) { return atDoor(at, "/books/1", good) })
		add(403, "another book at the door of "+name, func() (answer, error) { return atDoor(at, "/books/2", good) })
		add(401, "garbage at the door of "+name, func() (answer, error) { return atDoor(at, "/books/1", "a.b.c") })
	}
	atIssuer("the balancer", c.issuer)
	for _, n := range c.nodes() {
		atIssuer(n.name, n.url)
		door(n.name, n.url)
		add(401, "a revoked token at the door of "+n.name, func() (answer, error) { return atDoor(n.url, "/books/1", revoked) })
		add(200, "readiness of "+n.name, func() (answer, error) { return ask("GET", n.url+"/ready", "") })
		kinds = append(kinds, kind{"a client that is not in memory of " + n.name, 200, true, func(i int) (answer, error) {
			time.Sleep(200 * time.Millisecond) // there are few unseen clients
			return unseen[i%len(unseen)].token(n.url)
		}})
	}
	door("the edge", c.edge)
	return kinds
}
