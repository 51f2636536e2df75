package keyring

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// cachedKeys is a set of published keys in a cache, or the ID of the key that signed a token, until a time.
type cachedKeys struct {
	keys *token.KeySet
	kid  string
	end  time.Time
}

// TestRotationIsSeenByAllInTime runs nodes whose clocks are two minutes apart for four periods. One of them loses the
// storage from time to time. Everyone who fetched keys from any node within their max-age accepts what any node signs,
// and every node accepts every token until it expires.
func TestRotationIsSeenByAllInTime(t *testing.T) {
	c := newCluster(t)
	nodes := []*clusterNode{c.node(-time.Minute).start(), c.node(0).start(), c.node(time.Minute).start()}
	var caches, tokens []cachedKeys
	for step := range 4 * 24 * 60 {
		c.pass(time.Minute)
		now := c.now()
		nodes[1].storage.fail = nil
		if step%60 < 4 { // shorter than what the lead has in reserve
			nodes[1].storage.fail = away
		}
		for n := range nodes {
			_ = nodes[(n+step)%len(nodes)].look() // in another order each time
		}
		for _, node := range nodes {
			caches = append(caches, cachedKeys{keys: node.published(), end: now.Add(testTimes.MaxAge)})
			tokens = append(tokens, cachedKeys{kid: node.signerID(), end: now.Add(testTimes.TTL)})
		}
		caches, tokens = fresh(caches, now), fresh(tokens, now)
		for _, held := range tokens {
			for n, node := range nodes {
				if !node.published().Has(held.kid) {
					t.Fatalf("at %s node %d does not publish %s, whose tokens are valid", now, n, held.kid)
				}
			}
		}
		for n, node := range nodes {
			for _, cache := range caches {
				if kid := node.signerID(); !cache.keys.Has(kid) {
					t.Fatalf("at %s node %d signs with %s, which is not in a cache until %s", now, n, kid, cache.end)
				}
			}
		}
	}
	if len(c.made) != 5 {
		t.Errorf("in four periods %d keys were made, want the first and four more", len(c.made))
	}
	if kids := c.stored(); len(kids) > 2 {
		t.Errorf("in storage are %v", kids)
	}
}

func fresh(held []cachedKeys, now time.Time) []cachedKeys {
	var rest []cachedKeys
	for _, h := range held {
		if now.Before(h.end) {
			rest = append(rest, h)
		}
	}
	return rest
}

// TestNodesMakeOneKey lets many nodes find at the same time that a key is due, while others sign and verify.
func TestNodesMakeOneKey(t *testing.T) {
	c := newCluster(t)
	var nodes []*clusterNode
	for n := range 8 {
		nodes = append(nodes, c.node(time.Duration(n-4)*10*time.Second))
	}
	together := func() {
		t.Helper()
		var all sync.WaitGroup
		for _, node := range nodes {
			all.Go(func() { node.start(); node.mustLook() })
			all.Go(func() {
				kid := node.start().signerID()
				if set, err := node.KeySet(context.Background(), kid); err != nil || !set.Has(kid) {
					t.Errorf("the signer is not published: %v", err)
				}
			})
		}
		all.Wait()
	}
	for periods := range 3 {
		together()
		if len(c.made) != periods+1 {
			t.Fatalf("after %d periods %d keys were made", periods, len(c.made))
		}
		c.pass(testTimes.Period - testTimes.lead() + time.Minute)
		together()
		if len(c.made) != periods+2 {
			t.Fatalf("of period %d there are %d keys", periods, len(c.made))
		}
		c.pass(testTimes.lead())
	}
}

// TestNodeDiesInTheMiddle ends a node after each operation on storage. The others go on from there.
func TestNodeDiesInTheMiddle(t *testing.T) {
	for _, operation := range []string{"Lock", "Store", "Delete"} {
		t.Run(operation, func(t *testing.T) {
			c := newCluster(t)
			dying, other := c.node(0).start(), c.node(0).start()
			for range 2 { // so that there is one to delete
				c.pass(testTimes.Period - time.Minute)
				other.mustLook()
			}
			c.pass(testTimes.retention(new(storedKey)))
			dying.storage.after = func(done, _ string) error {
				if done == operation {
					dying.storage.fail = away
					return errAway
				}
				return nil
			}
			_ = dying.look()
			before := len(c.made)
			other.mustLook()
			other.mustLook()
			if operation == "Store" && len(c.made) != before {
				t.Errorf("another key was made: %d, %d before", len(c.made), before)
			}
			if plan := testTimes.plan(other.loaded.Load().all, token.ES256, c.now()); plan.due() {
				t.Errorf("something is left to do: %+v", plan)
			}
			if len(c.made) > 4 {
				t.Errorf("%d keys were made", len(c.made))
			}
		})
	}
}

// TestRotationOutlastsStorage: an error delays a rotation and is logged once. The first read that succeeds rotates.
func TestRotationOutlastsStorage(t *testing.T) {
	for _, operation := range []string{"List", "Load", "Lock", "Store"} {
		t.Run(operation, func(t *testing.T) {
			c := newCluster(t)
			node := c.node(0).start()
			first := node.signerID()
			port := 40000 // of a connection to the storage, which is another one at every try
			node.storage.fail = func(asked, _ string) error {
				if asked == operation {
					port++
					return fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:6379: %w", port, errAway)
				}
				return nil
			}
			c.pass(2 * testTimes.Period)
			for range 100 {
				if err := node.look(); err == nil || !strings.Contains(err.Error(), errAway.Error()) {
					t.Fatalf("a look answers %v", err)
				}
				if node.signerID() != first || node.Healthy() {
					t.Fatalf("signer %s, healthy %t", node.signerID(), node.Healthy())
				}
				_ = node.Reload(context.Background()) // as for an unknown kid
				c.pass(testTimes.Poll)
			}
			if n := node.errors(); n != 1 {
				t.Errorf("%d errors were logged, want one", n)
			}
			node.storage.fail = nil
			node.mustLook()
			if !node.Healthy() || len(c.made) != 2 || node.signerID() != first || node.published().Len() != 2 {
				t.Errorf("afterwards: healthy %t, made %d, published %d", node.Healthy(), len(c.made), node.published().Len())
			}
			c.pass(testTimes.lead())
			if node.signerID() == first {
				t.Error("the new key does not sign")
			}
		})
	}
}

func TestRotatingTwiceMakesOneNextKey(t *testing.T) {
	c := newCluster(t)
	a, b := c.node(0).start(), c.node(0).start()
	done, err := a.Rotate(context.Background())
	if err != nil || !done.Made.SignsFrom.Equal(c.now().Add(testTimes.lead())) {
		t.Fatalf("rotating: %v", err)
	}
	if _, err := b.Rotate(context.Background()); err == nil || !strings.Contains(err.Error(), done.Made.ID) {
		t.Errorf("rotating again: %v", err)
	}
}

// TestTokensThatWereValidForLonger: a key stays published for the tokens that it signed before token_ttl was shortened.
func TestTokensThatWereValidForLonger(t *testing.T) {
	c := newCluster(t)
	n := c.node(0).start()
	first := n.signerID()
	n.times.TTL = 24 * time.Hour
	n.mustLook()
	n.times.TTL = time.Minute
	n.mustLook()
	if _, err := n.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.pass(testTimes.lead() + 24*time.Hour + testTimes.Leeway - time.Minute)
	n.mustLook()
	if n.signerID() == first || !n.published().Has(first) {
		t.Errorf("%s signs, and the key of valid tokens is published: %t", n.signerID(), n.published().Has(first))
	}
	c.pass(2 * time.Minute)
	n.mustLook()
	if n.published().Has(first) {
		t.Error("the key of tokens that have expired is published")
	}
}
