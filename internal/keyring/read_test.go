package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// TestBrokenKeyInStorage: only that key fails. A node that read it before keeps it in use.
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

// TestDamagedTimes: damage beside the key material neither brings a revoked key back nor ends a good one.
func TestDamagedTimes(t *testing.T) {
	for name, seal := range map[string]*Seal{"plain": nil, "encrypted": testSeal(t, "a")} {
		for what, damage := range map[string]struct{ from, to string }{
			"the name of a member":  {`"revoked"`, `"revokee"`},
			"when it signs, before": {`"signs_from":"2027`, `"signs_from":"2023`},
			"when it signs, after":  {`"signs_from":"2027`, `"signs_from":"2127`},
			"when it was revoked":   {`"at":"2027`, `"at":"2023`},
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
						t.Errorf("the revoked key is taken; problem %q", node.Problem())
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

// TestStartWithoutTheKeyThatSigns fails: other nodes do not know another key yet, or are about to drop it.
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

// TestWriteThatEndsTooLate does not bring back a key that was revoked meanwhile.
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

// TestKeyOfAWrongClock is a problem, because no key is made before that one signs.
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

// TestEmptiedStorageMakesNoKey: the folder may just not be mounted.
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

// TestChangesOfOthersAreLogged: a key that is gone, and another key that signs.
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

// TestUnknownKeysDoNotFloodStorage: many unknown kids cause one read. Without storage KeySet fails.
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

// TestKeySetNow reads storage at once, also just after a search for another kid.
func TestKeySetNow(t *testing.T) {
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

// TestKeysThatAreTheSame stay the same object, because doors cache verified tokens by it.
func TestKeysThatAreTheSame(t *testing.T) {
	c := newCluster(t)
	node := c.node(0).start()
	before := node.published()
	node.mustLook()
	if node.published() != before {
		t.Error("a look that finds nothing new makes another set")
	}
}

// TestSlowSearch fails for the caller that started it and for one that joined it.
func TestSlowSearch(t *testing.T) {
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
