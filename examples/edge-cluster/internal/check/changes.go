package main

import (
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"
)

// changes are made at both nodes all the time, so that Redis dies during some of them. Acknowledged changes must
// exist at the end.
type changes struct {
	done    atomic.Bool
	workers sync.WaitGroup

	mu      sync.Mutex
	clients []string // acknowledged
	tokens  []string // acknowledged as revoked
	refused int      // with 503
}

func (c *cluster) startChanges(bot client) *changes {
	made := new(changes)
	for _, n := range c.nodes() {
		made.run(func(i int) {
			id := fmt.Sprintf("client-%d-of-%c", i, n.name[len(n.name)-1])
			switch _, a := n.create(id); a.status {
			case 201:
				made.note(&made.clients, id)
			default:
				made.refuse("creating a client at "+n.name, a)
			}
		})
		made.run(func(int) {
			token := bot.mustToken(n.url)
			switch a := bot.about(n.url, "revoke", token); a.status {
			case 200:
				want(refused(n.url, token), "%s accepts a token that it has just revoked", n.name)
				made.note(&made.tokens, token)
			default:
				made.refuse("revoking a token at "+n.name, a)
			}
		})
	}
	return made
}

func (m *changes) run(change func(i int)) {
	m.workers.Go(func() {
		for i := 0; !m.done.Load(); i++ {
			change(i)
			time.Sleep(150 * time.Millisecond)
		}
	})
}

func (m *changes) note(list *[]string, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*list = append(*list, what)
}

func (m *changes) refuse(what string, a answer) {
	want(a.unavailable(), "%s answers %s", what, a)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused++
}

func (m *changes) end() {
	m.done.Store(true)
	m.workers.Wait()
	log.Printf("       %d clients and %d revocations were acknowledged, and %d changes were refused", len(m.clients), len(m.tokens), m.refused)
	want(len(m.clients) > 0 && len(m.tokens) > 0, "there were no changes")
}

// areThere checks that both nodes know the acknowledged changes.
func (m *changes) areThere(c *cluster) {
	for _, n := range c.nodes() {
		for _, id := range m.clients {
			a := mustAsk("GET", "http://"+n.admin+"/m2m/clients/"+id, "")
			want(a.status == 200, "client %s was acknowledged, and %s answers %s", id, n.name, a)
		}
		for _, token := range m.tokens {
			eventually(n.name+" refuses a revoked token", func() bool { return refused(n.url, token) }) // the node may not know the last one yet
		}
	}
}
