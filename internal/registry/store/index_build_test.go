package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// TestListMakesAnIndex in the background.
func TestListMakesAnIndex(t *testing.T) {
	c, _ := newLargeStore(t, 300)
	c.edit(journalKey, withoutIndex)
	s := newStore(c.memory)
	s.SetIndexing(100, 100)
	s.IndexInBackground()
	soon(t, "there is an index", func() bool {
		if ids, err := s.ClientIDs(ctx, "", "", 10); err != nil || len(ids) != 10 {
			t.Fatalf("a list: %q, %v", ids, err)
		}
		return s.HasIndex(ctx)
	})
}

// TestIndexOfClientsRestoredByHand: a client that is restored by hand is not in the index. A node compares the index with the
// storage the first time that it lists clients, and makes another one.
func TestIndexOfClientsRestoredByHand(t *testing.T) {
	c, s := newLargeStore(t, 300)
	restoreByHand(t, c, s, "client-000007")
	fresh := newStore(c.memory)
	fresh.SetIndexing(100, 100)
	fresh.IndexInBackground()
	soon(t, "the client is listed", func() bool {
		ids, err := fresh.ClientIDs(ctx, "client-000007", "", 10)
		return err == nil && len(ids) == 1
	})
}

// restoreByHand puts the object of a client back that was deleted, so that the index does not have it.
func restoreByHand(t *testing.T, c *connection, s *store.Store, id string) {
	t.Helper()
	key := "test/registry/clients/" + id + ".json"
	object, err := c.memory.Load(ctx, key)
	if err == nil {
		_, err = s.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) { return nil, nil })
	}
	s.Close()
	if err == nil {
		err = c.memory.Store(ctx, key, object)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWrongIndexIsReplacedDuringChanges: a change on another node gives the wrong index another name while a right one is
// made. The right one still takes its place.
func TestWrongIndexIsReplacedDuringChanges(t *testing.T) {
	c, s := newLargeStore(t, 300)
	restoreByHand(t, c, s, "client-000007")
	other := newStore(c.memory)
	other.SetIndexing(100, 100)
	meanwhile := false
	fresh := newStore(&connection{memory: c.memory, left: -1, onLoad: func(key string) {
		if !meanwhile && strings.HasSuffix(key, "clients/client-000150.json") {
			meanwhile = true
			putClient(t, other, "client-000150-new")
			other.Close()
		}
	}})
	fresh.SetIndexing(100, 100)
	fresh.IndexInBackground()
	if _, err := fresh.ClientIDs(ctx, "", "", 10); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"client-000007", "client-000150-new"} {
		soon(t, id+" is listed", func() bool {
			ids, err := other.ClientIDs(ctx, id, "", 10)
			return err == nil && len(ids) == 1
		})
	}
}

// TestCloseEndsTheIndexBuild: a config that is replaced does not go on reading all clients, and leaves nothing behind.
func TestCloseEndsTheIndexBuild(t *testing.T) {
	c, s := newLargeStore(t, 300)
	s.Close()
	c.edit(journalKey, withoutIndex)
	indexObjects := func() int {
		return len(slices.DeleteFunc(c.keys(), func(key string) bool { return !strings.Contains(key, "/index/") }))
	}
	before, during := indexObjects(), make(chan int, 1)
	var closed *store.Store
	closed = newStore(&connection{memory: c.memory, left: -1, onLoad: func(key string) {
		if strings.HasSuffix(key, "clients/client-000150.json") {
			during <- indexObjects()
			closed.Close()
		}
	}})
	closed.SetIndexing(100, 100)
	closed.OnFault = func(doing string, err error) { t.Errorf("%s: %v", doing, err) }
	closed.IndexInBackground()
	if _, err := closed.ClientIDs(ctx, "", "", 10); err != nil {
		t.Fatal(err)
	}
	if n := <-during; n <= before {
		t.Fatalf("%d objects of an index while it is made, and %d before", n, before)
	}
	soon(t, "the build has ended, and has deleted its pages", func() bool { return indexObjects() == before })
	if closed.HasIndex(ctx) {
		t.Error("there is an index")
	}
}

// TestTwoNodesReplaceADamagedIndex: the one that ends later does not put an index in force whose pages the other has deleted.
func TestTwoNodesReplaceADamagedIndex(t *testing.T) {
	c, s := newLargeStore(t, 300)
	s.Close()
	for _, key := range c.keys() {
		if object, _ := c.memory.Load(ctx, key); strings.Contains(key, "/index/") && strings.Contains(string(object), "client-000250") {
			delete(c.objects, key) // the last page
		}
	}
	faster, slower := newStore(c.memory), (*store.Store)(nil)
	faster.SetIndexing(100, 100)
	meanwhile := false
	slower = newStore(&connection{memory: c.memory, left: -1, onLoad: func(key string) {
		if !meanwhile && strings.HasSuffix(key, "clients/client-000250.json") {
			meanwhile = true
			slower.Close() // it keeps the lock for a second
			if err := faster.BuildIndex(ctx); err != nil {
				t.Error(err)
			}
			faster.Close()
		}
	}})
	slower.SetIndexing(100, 100)
	if slower.HasIndex(ctx) {
		t.Fatal("the index is whole")
	}
	if err := slower.BuildIndex(ctx); err != nil || !meanwhile {
		t.Fatalf("the slower node: %v; the other one was faster: %t", err, meanwhile)
	}
	if !newStore(c.memory).HasIndex(ctx) {
		t.Error("the index is damaged")
	}
}
