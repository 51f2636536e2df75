package revocation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// world is some nodes that share a storage, with clocks that differ, a remote door, and what must hold.
type world struct {
	*testing.T
	random  *rand.Rand
	storage *memory
	nodes   []*node
	door    *Copy
	clock   time.Duration
	issued  []Entry          // every token
	revoked map[string]bool  // by jti
	cut     map[string]Entry // the latest revocation of each client
	skews   [3]time.Duration
}

// TestAnySequenceKeepsRevocations: after any sequence of issues, revocations, collapses, reads, restarts, and failures of the
// storage between any two steps, each revoked token is refused everywhere, and no token is that was neither revoked nor issued
// up to the revocation of its client.
func TestAnySequenceKeepsRevocations(t *testing.T) {
	for range 30 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &world{T: t, random: rand.New(rand.NewPCG(seed, 0)), storage: newMemory(), revoked: make(map[string]bool), cut: make(map[string]Entry)}
			w.skews = [3]time.Duration{0, 40 * time.Second, -40 * time.Second}
			for range w.skews {
				w.nodes = append(w.nodes, newNode(t, w.storage))
			}
			w.door = NewCopy()
			w.tick(0)
			w.nodes[0].revoke(token("first"))
			for range 600 {
				w.step()
			}
			w.storage.set("")
			for _, n := range w.nodes {
				n.reload()
			}
			w.tick(time.Second)
			w.read(w.nodes[0]) // what is new, if the door has read lately
			w.checkDoor()
			for range 2 {
				for _, n := range w.nodes {
					w.tick(verifyInterval)
					n.reload()
				}
			}
			w.read(w.nodes[0])
			w.restart(2)
			w.nodes[2].reload()
			w.check()
		})
	}
}

func (w *world) tick(d time.Duration) {
	w.clock += d
	for k, n := range w.nodes {
		n.at.Store(int64(w.clock + w.skews[k]))
	}
	w.door.now = w.nodes[0].now
}

func (w *world) restart(k int) {
	w.nodes[k].awaitDeletion()
	w.nodes[k] = newNode(w.T, w.storage)
	w.tick(0)
}

func (w *world) read(n *node) {
	since := w.door.AsOf()
	if err := w.door.Take(told(w.T, n, since), since); err != nil {
		w.Fatal(err)
	}
	for _, e := range w.issued { // also if it has read only what is new
		end := e.Expires.Unix()
		if n.Set().Revoked(e.ID, e.Owner, e.Issued) && !w.door.Revoked(e.ID, e.Owner, e.Issued) && !over(end, n.now()) && !over(end, w.door.now()) {
			w.Fatalf("the door has read since %s from a node, and does not know that token %s of %s, issued at %s, is revoked", since, e.ID, e.Owner, e.Issued)
		}
	}
}

func (w *world) step() {
	k := w.random.IntN(len(w.nodes))
	n := w.nodes[k]
	switch w.random.IntN(16) {
	case 0, 1, 2, 3: // issue
		owner := []string{"bot", "ant", "cat"}[w.random.IntN(3)]
		issued := n.now().Truncate(time.Second)
		w.issued = append(w.issued, OfClientToken(fmt.Sprint(len(w.issued)), owner, issued, issued.Add(time.Duration(1+w.random.IntN(7200))*time.Second)))
	case 4, 5, 6, 7, 8:
		if len(w.issued) == 0 {
			return
		}
		e := w.issued[w.random.IntN(len(w.issued))]
		if n.Revoke(w.Context(), e) == nil {
			w.revoked[e.ID] = true
		}
	case 9:
		if e, ok := n.Cut("bot", w.random.IntN(4), n.now().Add(-time.Second)); ok {
			w.collapse(n, e)
		}
	case 10:
		w.collapse(n, n.CutLargest(6, 1, n.now().Add(-time.Second))...)
	case 11, 12:
		w.tick(time.Duration(w.random.IntN(20)) * time.Second)
		if w.random.IntN(20) == 0 {
			w.tick(10 * time.Minute)
		}
		_ = n.Reload()
	case 13:
		if n.Reload() == nil && n.isOpen() && n.Fresh() == nil {
			w.read(n)
		}
	case 14:
		w.restart(k)
	case 15:
		w.storage.set([]string{"", "", "", "Store", "Delete", "Load", "List"}[w.random.IntN(7)])
	}
}

func (w *world) collapse(n *node, entries ...Entry) {
	if len(entries) == 0 || n.Revoke(w.Context(), entries...) != nil {
		return
	}
	for _, e := range entries {
		if e.Before.After(w.cut[e.ClientID].Before) {
			w.cut[e.ClientID] = e
		}
	}
}

func (w *world) check() {
	for _, e := range w.issued {
		if over(e.Expires.Unix(), w.nodes[1].now()) {
			continue
		}
		c, isCut := w.cut[e.Owner]
		want := w.revoked[e.ID] || isCut && !e.Issued.After(c.Before)
		for k, n := range w.nodes {
			if got, err := n.Revoked(w.Context(), e.ID, e.Owner, e.Issued); err != nil || got != want {
				w.Errorf("node %d: token %s of %s, issued at %s, is revoked: %t, want %t: %v", k, e.ID, e.Owner, e.Issued, got, want, err)
			}
		}
	}
	w.checkDoor()
}

func (w *world) checkDoor() {
	for _, e := range w.issued {
		c, isCut := w.cut[e.Owner]
		want := w.revoked[e.ID] || isCut && !e.Issued.After(c.Before)
		if got := w.door.Revoked(e.ID, e.Owner, e.Issued); got != want && !over(e.Expires.Unix(), w.nodes[1].now()) {
			w.Errorf("the door: token %s of %s, issued at %s, is revoked: %t, want %t", e.ID, e.Owner, e.Issued, got, want)
		}
	}
}
