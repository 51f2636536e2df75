package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// cachedKeys is what somebody may still have in a cache, or hold as a token: a set of published keys, or the ID of
// the key that signed, until a time.
type cachedKeys struct {
	keys *token.KeySet
	kid  string
	end  time.Time
}

// TestRotationIsSeenByAllInTime runs nodes whose clocks are two minutes apart, one of which loses storage again
// and again, for four periods. Whatever a node signs at any time is taken by whoever fetched keys from any node
// within their max-age, and every token is taken everywhere until it ends.
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

// TestNodesMakeOneKey has many nodes find at once that a key is due, while others sign and verify.
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

// TestNodeDiesInTheMiddle: it has stored the next key, and that is the last of it. The others go on from there.
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

// TestRotationOutlastsStorage: an error delays a rotation, is logged once, and the next look that can does it.
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

// TestBrokenKeyInStorage: only that one fails. Who had read it before goes on with it.
func TestBrokenKeyInStorage(t *testing.T) {
	for name, spoil := range map[string]func(string) string{"cut off": cutOff, "flipped": flipped, "empty": func(string) string { return "" }, "a brace too much": func(object string) string { return object + "}" }} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			node := c.node(0).start()
			first := node.signerID()
			if _, err := node.Rotate(context.Background()); err != nil {
				t.Fatal(err)
			}
			c.spoil(first, spoil)
			for range 3 {
				if err := node.look(); err == nil || !strings.Contains(err.Error(), first+".json") || strings.Contains(err.Error(), `"d"`) {
					t.Fatalf("a look answers %v", err)
				}
			}
			if node.signerID() != first || !node.published().Has(first) || node.errors() != 1 {
				t.Errorf("signer %s, errors %d", node.signerID(), node.errors())
			}
			if _, err := c.node(0).Current(context.Background()); err == nil || !strings.Contains(err.Error(), first+".json") {
				t.Errorf("a new node starts without the key that signs: %v", err) // and would sign with one that others do not know yet
			}
			c.pass(testTimes.lead())
			fresh := c.node(0).start()
			if fresh.Healthy() || fresh.published().Len() != 1 || len(c.made) != 2 || fresh.signerID() == first {
				t.Errorf("a new node once the next key signs: problem %q, keys %d, made %d", fresh.Problem(), fresh.published().Len(), len(c.made))
			}
			if set, err := fresh.KeySet(context.Background(), first); err == nil {
				t.Errorf("it says that the key is none of its %d, and cannot know", set.Len())
			}
			if _, err := fresh.KeySet(context.Background(), "unheard-of"); err != nil {
				t.Errorf("of another one it says %v", err)
			}
		})
	}
}

// TestDamagedTimes: a bit of what stands beside the key brings no key back that was given up, and ends none.
func TestDamagedTimes(t *testing.T) {
	for name, seal := range map[string]*Seal{"plain": nil, "encrypted": testSeal(t, "a")} {
		for what, damage := range map[string]struct{ from, to string }{
			"the name of a member":  {`"revoked"`, `"revokee"`},
			"when it signs, before": {`"signs_from":"2027`, `"signs_from":"2023`},
			"when it signs, after":  {`"signs_from":"2027`, `"signs_from":"2127`},
			"when it was given up":  {`"at":"2027`, `"at":"2023`},
			"for how long":          {`"token_ttl":6`, `"token_ttl":2`},
			"the checksum's name":   {`sha256:`, `sha257:`},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				c := newCluster(t)
				node := c.node(0, seal).start()
				leaked := node.signerID()
				c.pass(time.Second)
				if _, err := node.Replace(context.Background(), "leaked"); err != nil {
					t.Fatal(err)
				}
				signer, whole := node.signerID(), c.object(leaked)
				c.spoil(leaked, func(object string) string { return strings.Replace(object, damage.from, damage.to, 1) })
				if c.object(leaked) == whole {
					t.Fatalf("%s has no %s", whole, damage.from)
				}
				fresh := c.node(0, seal).start()
				for _, node := range []*clusterNode{node, fresh} {
					if err := node.look(); err == nil || !strings.Contains(err.Error(), leaked) {
						t.Errorf("a look answers %v", err)
					}
					if node.published().Has(leaked) || node.signerID() != signer {
						t.Errorf("the key that was given up is taken; problem %q", node.Problem())
					}
				}
				if kids := c.stored(); len(kids) != 2 {
					t.Errorf("in storage are %v", kids)
				}
			})
		}
	}
}

// TestKeyWithoutAChecksum is not read, also if it is otherwise whole.
func TestKeyWithoutAChecksum(t *testing.T) {
	c := newCluster(t)
	kid := c.node(0).start().signerID()
	c.spoil(kid, func(object string) string {
		_, content, _ := strings.Cut(object, "\n")
		return content
	})
	if _, err := c.node(0).Current(context.Background()); err == nil || !strings.Contains(err.Error(), kid) {
		t.Errorf("starting: %v", err)
	}
}

// TestStartWithoutTheKeyThatSigns fails, for another one is not yet known to others, or is about to be dropped by them.
func TestStartWithoutTheKeyThatSigns(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	retired := node.signerID()
	c.pass(testTimes.Period - testTimes.lead())
	node.mustLook()
	c.pass(testTimes.lead() + time.Minute)
	node.mustLook()
	active := node.signerID()
	if active == retired {
		t.Fatal("no rotation")
	}
	whole := c.object(active)
	c.spoil(active, cutOff)
	if _, err := c.node(0).Current(context.Background()); err == nil || !strings.Contains(err.Error(), "it may be the key that signs") {
		t.Errorf("it starts: %v", err)
	}
	c.spoil(active, func(string) string { return whole })
	c.spoil(retired, cutOff)
	if fresh := c.node(0).start(); fresh.signerID() != active || fresh.Healthy() {
		t.Errorf("without the retired one: signer %s, problem %q", fresh.signerID(), fresh.Problem())
	}
}

// TestWriteThatEndsTooLate brings no key back that was given up meanwhile.
func TestWriteThatEndsTooLate(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	leaked := node.signerID()
	good := c.object(leaked)
	c.pass(time.Second)
	if _, err := node.Replace(context.Background(), "leaked"); err != nil {
		t.Fatal(err)
	}
	c.spoil(leaked, func(string) string { return good })
	_ = node.Reload(context.Background()) // as for an unknown kid
	if node.published().Has(leaked) {
		t.Error("it is taken again")
	}
	node.mustLook()
	if fresh := c.node(0).start(); node.published().Has(leaked) || fresh.published().Has(leaked) || fresh.loaded.Load().key(leaked).revoked.Reason != "leaked" {
		t.Error("a new node takes it again")
	}
}

// TestKeyOfAWrongClock is told, for none is made before it signs.
func TestKeyOfAWrongClock(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	c.node(365 * 24 * time.Hour).start().mustLook()
	if err := node.look(); err == nil || !strings.Contains(err.Error(), "a clock is wrong") || node.Healthy() {
		t.Errorf("a look answers %v", err)
	}
	if _, err := node.Replace(context.Background(), "a wrong clock"); err != nil {
		t.Fatal(err)
	}
	node.mustLook()
	c.node(time.Minute).start().mustLook()
	c.node(-time.Minute).start().mustLook()
}

// TestEmptiedStorageMakesNoKey: a folder that is not mounted is no reason to part from the others.
func TestEmptiedStorageMakesNoKey(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	kid := node.signerID()
	whole := c.objects
	c.objects = make(map[string][]byte)
	if err := node.look(); err == nil || node.signerID() != kid || len(c.made) != 1 {
		t.Errorf("a look answers %v; signer %s, made %d", err, node.signerID(), len(c.made))
	}
	c.objects = whole
	node.mustLook()
}

// TestReplaceRevokesEverywhere: with the next look each node refuses the old keys, and a token of the new one makes
// it look at once.
func TestReplaceRevokesEverywhere(t *testing.T) {
	c := newCluster(t)
	here, there, behind := c.node(0).start(), c.node(0).start(), c.node(-time.Minute).start()
	if _, err := here.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	old := c.stored()
	there.mustLook()
	done, err := here.Replace(context.Background(), "leaked")
	if err != nil || len(done.Revoked) != 2 || here.signerID() != done.Made.ID {
		t.Fatalf("replacing: %v, %+v", err, done)
	}
	set, err := there.KeySet(context.Background(), done.Made.ID)
	if err != nil || !set.Has(done.Made.ID) {
		t.Errorf("the new key is not found there: %v", err)
	}
	behind.mustLook()
	for n, node := range []*clusterNode{here, there, behind} {
		for _, kid := range old {
			if set, err := node.KeySet(context.Background(), kid); err != nil || set.Has(kid) {
				t.Errorf("node %d takes the old key: %v", n, err)
			}
		}
		if node.signerID() != done.Made.ID || node.published().Len() != 1 {
			t.Errorf("node %d signs with %s and publishes %d keys", n, node.signerID(), node.published().Len())
		}
	}
	fresh := c.node(0).start()
	if fresh.signerID() != done.Made.ID || fresh.loaded.Load().key(old[0]).revoked.Reason != "leaked" {
		t.Error("a new node sees something else")
	}
	c.pass(testTimes.retention(new(storedKey)) + time.Second)
	here.mustLook()
	if kids := c.stored(); len(kids) != 1 {
		t.Errorf("in storage are %v", kids)
	}
}

// TestReplaceThatFailsHalfWay leaves a key to sign with, names all that are still taken, and can be done again.
func TestReplaceThatFailsHalfWay(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	old := node.signerID()
	made, err := node.Rotate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	next := made.Made.ID
	c.pass(time.Second)
	node.storage.fail = func(operation, name string) error {
		if operation == "Store" && (kidOf(name) == old || kidOf(name) == next) {
			return errAway
		}
		return nil
	}
	done, err := node.Replace(context.Background(), "leaked")
	if err == nil || !strings.Contains(err.Error(), old) || !strings.Contains(err.Error(), next) || done.Made == nil {
		t.Fatalf("replacing: %v", err)
	}
	if node.signerID() == old || !node.published().Has(old) || !node.published().Has(next) {
		t.Errorf("signer %s", node.signerID())
	}
	node.storage.fail = nil
	if _, err := node.Replace(context.Background(), "leaked"); err != nil || node.published().Has(old) || node.published().Len() != 1 {
		t.Errorf("again: %v, %d keys", err, node.published().Len())
	}
}

// TestReplaceOfKeysThatCannotBeRead: other nodes, and doors elsewhere, may have read them when they were whole.
func TestReplaceOfKeysThatCannotBeRead(t *testing.T) {
	c := newCluster(t)
	old := c.node(0).start()
	if _, err := old.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	first, next := old.signerID(), old.loaded.Load().all[1].ID()
	c.spoil(next, cutOff)
	fresh := c.node(0).start()
	done, err := fresh.Replace(context.Background(), "leaked")
	if err != nil || len(done.Revoked) != 2 {
		t.Fatalf("%v, revoked %v", err, done.Revoked)
	}
	if named := fresh.RevokedUntil(fresh.loaded.Load()); len(named) != 2 || named[first] == 0 || named[next] == 0 {
		t.Errorf("the feed names %v", named)
	}
	for _, node := range []*clusterNode{old, fresh, c.node(0).start(), c.node(0, testSeal(t, "a")).start()} {
		node.mustLook()
		if node.published().Has(next) || node.published().Len() != 1 || !node.Healthy() {
			t.Errorf("the key is still taken; problem %q", node.Problem())
		}
		if v := node.info(node.loaded.Load().all, node.loaded.Load().key(next)); v.State != Revoked || v.RevokedReason != "leaked" || v.Encrypted {
			t.Errorf("it is shown as %+v", v)
		}
	}
	c.pass(token.MaxTTL + testTimes.Leeway + time.Minute)
	fresh.mustLook()
	if slices.Contains(c.stored(), next) {
		t.Error("it is remembered for ever")
	}
}

// TestGivenUpByAnEncryptedObject: to see that a key was given up one need not be able to read it. Who cannot read the new
// one either says nothing of tokens, and makes none.
func TestGivenUpByAnEncryptedObject(t *testing.T) {
	c := newCluster(t)
	behind := c.node(0).start()
	leaked := behind.signerID()
	done, err := c.node(0, testSeal(t, "a")).start().Replace(context.Background(), "leaked")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := behind.look(); err == nil || behind.Healthy() {
			t.Errorf("a look answers %v", err)
		}
		if set, err := behind.KeySet(context.Background(), leaked); err != nil || set.Has(leaked) {
			t.Errorf("the key that was given up: %v", err)
		}
		if set, err := behind.KeySet(context.Background(), done.Made.ID); err == nil {
			t.Errorf("it says that the new key is none of its %d, and cannot know", set.Len())
		}
		if key, err := behind.Signer(context.Background()); err == nil {
			t.Errorf("it signs with %s", key.ID())
		}
		c.pass(testTimes.Period)
	}
	if behind.Revision() != "" || len(c.made) != 2 {
		t.Errorf("signer %q, %d keys were made", behind.Revision(), len(c.made))
	}
}

// TestChangesOfOthersAreLogged: a key that is gone, and another that signs, though nobody here has done it.
func TestChangesOfOthersAreLogged(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	gone := node.signerID()
	if lines := node.log.FilterLevelExact(zap.WarnLevel).All(); len(lines) != 1 || !strings.Contains(lines[0].Message, "this is a new issuer") {
		t.Errorf("of a start on an empty storage the log says %v", lines)
	}
	delete(c.objects, node.nameOf(gone))
	other := c.node(0).start().signerID()
	node.mustLook()
	lines := node.log.FilterMessageSnippet("is gone from storage").All()
	if len(lines) != 1 || lines[0].ContextMap()["kid"] != gone {
		t.Errorf("of the key that is gone the log says %v", lines)
	}
	if lines := node.log.FilterMessage("another key signs").All(); len(lines) != 1 || lines[0].ContextMap()["kid"] != other {
		t.Errorf("of the one that signs it says %v", lines)
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

// TestUnknownKeysDoNotFloodStorage: whatever strangers send. While storage is away it cannot be told.
func TestUnknownKeysDoNotFloodStorage(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	before := node.storage.listed.Load()
	for n := range 100 {
		if set, err := node.KeySet(context.Background(), fmt.Sprint("kid", n)); err != nil || set.Len() != 1 {
			t.Fatal(err)
		}
	}
	if n := node.storage.listed.Load() - before; n != 1 {
		t.Errorf("storage was asked %d times", n)
	}
	node.storage.fail = away
	c.pass(searchInterval)
	if _, err := node.KeySet(context.Background(), "other"); err == nil {
		t.Error("a key is said to be unknown while storage is away")
	}
	if _, err := node.KeySet(context.Background(), node.signerID()); err != nil {
		t.Error(err)
	}
}

// TestKeyThatIsInsistedOn is looked for at once, whatever strangers have had looked for.
func TestKeyThatIsInsistedOn(t *testing.T) {
	c := newCluster(t)
	here, there := c.node(0).start(), c.node(0).start()
	if _, err := there.KeySet(context.Background(), "a stranger's"); err != nil {
		t.Fatal(err)
	}
	done, err := here.Replace(context.Background(), "leaked")
	if err != nil {
		t.Fatal(err)
	}
	c.pass(searchInterval - 1)
	if set, err := there.KeySetNow(context.Background(), done.Made.ID); err != nil || !set.Has(done.Made.ID) {
		t.Errorf("it is not found: %v", err)
	}
}

// TestKeysThatAreTheSame: doors remember tokens by the set of keys.
func TestKeysThatAreTheSame(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	before := node.published()
	node.mustLook()
	if node.published() != before {
		t.Error("a look that finds nothing new makes another set")
	}
}

// TestTokensThatWereValidForLonger: a key is published for the tokens that it signed before token_ttl was shortened.
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

// TestKeyThatIsLookedForForLong: it cannot be told either, by who looks or by who comes meanwhile.
func TestKeyThatIsLookedForForLong(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	let := make(chan struct{})
	node.storage.fail = func(string, string) error { <-let; return nil }
	defer close(let)
	ask := func() {
		if _, err := node.KeySet(context.Background(), "other"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a key is said to be unknown while storage does not answer: %v", err)
		}
	}
	var looking sync.WaitGroup
	looking.Go(ask)
	for !node.searching.Load() {
		time.Sleep(time.Millisecond)
	}
	ask()
	looking.Wait() // before the storage answers
}

// heedful is a storage that does nothing for who has gone, as that of Redis.
type heedful struct{ *nodeStorage }

func (s heedful) Load(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.nodeStorage.Load(ctx, name)
}

func (s heedful) Store(ctx context.Context, name string, object []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.nodeStorage.Store(ctx, name, object)
}

// TestReplacingByWhoHasGone: a key that has leaked is given up, also when the command was ended after it had begun.
func TestReplacingByWhoHasGone(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	leaked := node.signerID()
	node.Ring.storage = heedful{node.storage}
	ctx, cancel := context.WithCancel(t.Context())
	node.storage.after = func(operation, _ string) error {
		if operation == "Store" {
			cancel()
		}
		return nil
	}
	done, err := node.Replace(ctx, "leaked")
	if err != nil || len(done.Revoked) != 1 || node.published().Has(leaked) || node.signerID() == leaked {
		t.Errorf("replacing keys says %v, revoked %d of them", err, len(done.Revoked))
	}
}
