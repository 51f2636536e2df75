package lru

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// check counts again what a cache counts, and holds it against the bounds.
func check[K comparable, V any](t *testing.T, c *Cache[K, V]) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	size, known, held, heldSize := 0, 0, 0, 0
	for n := range c.index {
		for key, e := range c.index[n].known {
			if e.key != key || c.owners[e.owner.name] != e.owner || c.part(key) != &c.index[n] {
				t.Fatalf("entry %v is in the wrong place", key)
			}
			size, known = size+e.size, known+1
		}
	}
	for name, own := range c.owners {
		walked := 0
		for e := own.front; e != nil; e = e.links[ofOwner].next {
			walked++
		}
		if own.len == 0 || own.name != name || walked != own.len {
			t.Fatalf("owner %q has %d entries, counted as %d", name, walked, own.len)
		}
		held, heldSize = held+own.len, heldSize+own.size
	}
	if size != c.recent.size || heldSize != size || held != known || c.recent.len != known {
		t.Fatalf("%d bytes of %d entries are counted as %d of %d, and by owner as %d of %d", size, known, c.recent.size, c.recent.len, heldSize, held)
	}
	if c.size() > c.bytes || known > c.entries {
		t.Fatalf("%d entries take %d bytes", known, c.size())
	}
}

func has[K comparable, V any](c *Cache[K, V], key K) bool {
	_, ok := c.Get(key)
	return ok
}

// TestOldestIsRemoved: of entries that were not used, those that were added last stay.
func TestOldestIsRemoved(t *testing.T) {
	c := New[int, int](3, 1<<20)
	for n := range 10 {
		c.Add(n, fmt.Sprint("owner-", n), n, 0)
		check(t, c)
	}
	for n := range 10 {
		if got := has(c, n); got != (n >= 7) {
			t.Errorf("entry %d is there: %v", n, got)
		}
	}
	c.Delete(8)
	c.Delete(100)
	check(t, c)
	if has(c, 8) || !has(c, 9) {
		t.Error("Delete did not remove the entry, or removed another")
	}
}

// TestUsedStay: an entry that is used between additions is never removed.
func TestUsedStay(t *testing.T) {
	c := New[int, int](100, 1<<20)
	for n := range 100 {
		c.Add(n, fmt.Sprint("owner-", n), n, 0)
	}
	for n := 100; n < 5000; n++ {
		for used := range 10 {
			if value, ok := c.Get(used); !ok || value != used {
				t.Fatalf("after %d additions, entry %d is %d, %v", n, used, value, ok)
			}
		}
		c.Add(n, fmt.Sprint("owner-", n), n, 0)
	}
	check(t, c)
}

// TestOwnerPushesNoOtherOut: beyond its share, an owner pushes out only its own entries. Used ones are no exception.
func TestOwnerPushesNoOtherOut(t *testing.T) {
	for _, bounds := range []struct{ entries, bytes int }{{800, 1 << 30}, {1 << 30, 800 * 1300}} {
		c := New[int, int](bounds.entries, bounds.bytes)
		const size = 900
		others := 0
		for ; ; others++ {
			if n, bytes := c.Len(); n == bounds.entries || bytes+size+600 > bounds.bytes {
				break
			}
			c.Add(others, fmt.Sprint("owner-", others), 0, size)
		}
		for n := range 5000 {
			c.Add(1_000_000+n, "greedy", 0, size)
			has(c, 1_000_000+n)
		}
		check(t, c)
		kept := 0
		for n := range others {
			if has(c, n) {
				kept++
			}
		}
		if kept < others-others/share*5/4-1 {
			t.Errorf("%d of %d entries of others are left", kept, others)
		}
		if !has(c, 1_000_000+4999) {
			t.Error("its own last entry is not there")
		}
	}
}

func TestLargeIsNotAdded(t *testing.T) {
	c := New[int, int](10, 1<<20)
	if c.Add(1, "a", 1, 1<<20/largestShare) || !c.Add(2, "a", 2, 1<<20/largestShare/2) || c.Add(2, "a", 3, 0) {
		t.Error("a large one was added, a small one was not, or one was added twice")
	}
	if value, _ := c.Get(2); value != 2 {
		t.Errorf("the value is %d", value)
	}
	check(t, c)
}

// TestRandomUse holds the counts of a small cache against a recount, with any order of calls.
func TestRandomUse(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := New[int, int](50, 30_000)
	for range 20_000 {
		key := random.IntN(200)
		switch random.IntN(4) {
		case 0, 1:
			if value, ok := c.Get(key); ok && value != key*7 {
				t.Fatalf("the value of %d is %d", key, value)
			}
		case 2:
			c.Add(key, fmt.Sprint(random.IntN(5)), key*7, random.IntN(400))
		case 3:
			if random.IntN(4) == 0 {
				c.Delete(key)
			}
		}
		if random.IntN(50) == 0 {
			check(t, c)
		}
	}
	check(t, c)
}

// TestSize: the count is at least the growth of the heap, and at most three times that.
func TestSize(t *testing.T) {
	for _, owners := range []int{1, 20_000} {
		before := heapInUse()
		c := New[[32]byte, *int](1<<30, 1<<30)
		value := new(int)
		for n := range 20_000 {
			var key [32]byte
			copy(key[:], fmt.Sprint(n))
			c.Add(key, strings.Repeat("x", 20)+fmt.Sprint(n%owners), value, 0)
		}
		took := int(heapInUse() - before)
		_, counted := c.Len()
		t.Logf("%d owners: an entry takes %d, counted as %d", owners, took/20_000, counted/20_000)
		if took > counted*11/10 || counted > 3*took {
			t.Errorf("%d bytes are counted as %d", took, counted)
		}
		runtime.KeepAlive(c)
	}
}

func heapInUse() int64 {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestConcurrently is for the race detector, too.
func TestConcurrently(t *testing.T) {
	c := New[int, int](20, 1<<20)
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for i := range 2000 {
				key := (n + i) % 40
				if value, ok := c.Get(key); ok && value != key {
					t.Errorf("the value of %d is %d", key, value)
				}
				if i%3 == 0 {
					c.Add(key, fmt.Sprint(key%3), key, key)
				}
				if i%11 == 0 {
					c.Delete(key)
				}
			}
		})
	}
	group.Wait()
	check(t, c)
}

func BenchmarkGet(b *testing.B) {
	c := New[[32]byte, *int](1000, 1<<20)
	for n := range 500 {
		c.Add([32]byte{byte(n), byte(n >> 8)}, fmt.Sprint(n%50), new(int), 0)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			c.Get([32]byte{byte(n % 500), byte(n % 500 >> 8)})
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	c := New[[32]byte, *int](1000, 1<<30)
	value := new(int)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		c.Add([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}, "owner", value, 0)
	}
}
