package keyring

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// TestReplaceRevokesEverywhere: after its next read each node refuses the old keys, and a token of the new one makes it
// read at once.
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

// TestReplaceThatFailsHalfWay leaves a key to sign with, names the keys that are still accepted, and can be repeated.
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

// TestReplaceOfKeysThatCannotBeRead: other nodes and remote doors may have read them when they were good.
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

// TestRevokedByAnEncryptedObject: a node sees that a key was revoked even if it cannot decrypt it. If it cannot read the
// new key either, it neither judges nor issues tokens.
func TestRevokedByAnEncryptedObject(t *testing.T) {
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
			t.Errorf("the revoked key: %v", err)
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

// heedful is a storage that does nothing once the context is done, like that of Redis.
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

// TestReplaceAfterTheCallerLeft: a leaked key is revoked even if the command ends after it began.
func TestReplaceAfterTheCallerLeft(t *testing.T) {
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
