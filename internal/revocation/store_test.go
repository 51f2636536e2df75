package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

// memory is a storage, of which operations can fail.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	failing string // an operation, or an operation and a key's end
	ops     map[string]int
	onLoad  func(key string)
	cut     int      // how many listings end where an object vanishes
	ghosts  []string // are listed, too
}

var errAway = errors.New("the storage is unavailable")

func newMemory() *memory { return &memory{objects: make(map[string][]byte), ops: make(map[string]int)} }

func (m *memory) begin(operation, key string) error {
	m.ops[operation]++
	if m.failing == operation || m.failing == operation+" "+path.Base(key) {
		return errAway
	}
	return nil
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	if m.onLoad != nil {
		m.onLoad(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Load", key); err != nil {
		return nil, err
	}
	object, ok := m.objects[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return object, nil
}

func (m *memory) Store(_ context.Context, key string, object []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Store", key); err != nil {
		return err
	}
	if _, ok := m.objects[key]; ok {
		return errors.New("an object is written twice")
	}
	m.objects[key] = object
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return m.begin("Delete", key)
}

func (m *memory) List(_ context.Context, folder string, _ bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut--; len(m.objects) == 0 || m.cut >= 0 {
		return nil, fs.ErrNotExist
	}
	keys := slices.AppendSeq(slices.Clone(m.ghosts), maps.Keys(m.objects))
	slices.Sort(keys)
	return slices.Compact(keys), m.begin("List", folder)
}

func (m *memory) Exists(context.Context, string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.objects) > 0
}

func (m *memory) set(failing string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = failing
}

func (m *memory) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

// node is a store on a storage that nodes share, with a clock of its own.
type node struct {
	*Store
	t      testing.TB
	at     atomic.Int64 // after noon, in nanoseconds
	faults []string
}

func newNode(t testing.TB, storage Storage) *node {
	n := &node{Store: NewStore(storage, "m2m/x/revocations"), t: t}
	n.now = func() time.Time { return noon.Add(time.Duration(n.at.Load())) }
	n.OnFault = func(doing string, err error) { n.faults = append(n.faults, doing+": "+err.Error()) }
	return n
}

func (n *node) revoke(entries ...Entry) {
	n.t.Helper()
	if err := n.Revoke(n.t.Context(), entries...); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) has(id string) bool {
	n.t.Helper()
	revoked, err := n.Revoked(n.t.Context(), id, "", noon)
	if err != nil {
		n.t.Fatal(err)
	}
	return revoked
}

func (n *node) reload() {
	n.t.Helper()
	if err := n.Reload(); err != nil {
		n.t.Fatal(err)
	}
}

// awaitDeletion waits until the segment is deleted that a revocation has replaced.
func (n *node) awaitDeletion() {
	n.queue.writing.Lock()
	defer n.queue.writing.Unlock()
}

func token(id string) Entry { return OfToken(id, noon.Add(time.Minute)) }

func TestNodesSeeEachOthersRevocations(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	if a.has("A") || b.has("A") {
		t.Fatal("revoked before anything was")
	}
	a.revoke(token("A"))
	if !a.has("A") {
		t.Error("not in force at once")
	}
	if b.has("A") {
		t.Error("seen without a look")
	}
	b.revoke(token("B"), OfClient("bot", noon))
	a.reload()
	b.reload()
	for _, n := range []*node{a, b, newNode(t, storage)} { // the last one starts now
		if !n.has("A") || !n.has("B") {
			t.Error("a revocation was lost")
		}
		if revoked, _ := n.Revoked(t.Context(), "C", "bot", noon); !revoked || n.Set().Len() != 3 {
			t.Errorf("the client's tokens are revoked: %t, %d entries", revoked, n.Set().Len())
		}
	}
}

// TestALookReadsOnlyWhatIsNew: however much is revoked, a look at what has not changed is one listing.
func TestALookReadsOnlyWhatIsNew(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	for i := range 3 * segmentSize {
		a.revoke(token(floodID(i)))
	}
	a.awaitDeletion()
	if names := storage.names(); len(names) != 3 {
		t.Errorf("%d objects, want 3: %v", len(names), names)
	}
	b.reload()
	loads := storage.ops["Load"]
	b.reload()
	if storage.ops["Load"] != loads {
		t.Error("what is known was read again")
	}
	a.revoke(token("A"))
	b.reload()
	if got := storage.ops["Load"] - loads; got != 1 || !b.has("A") {
		t.Errorf("%d objects were read for one that is new", got)
	}
}

// TestConcurrentRevocationsShareWrites: a flood costs a few writes, and loses nothing.
func TestConcurrentRevocationsShareWrites(t *testing.T) {
	storage := newMemory()
	nodes := []*node{newNode(t, storage), newNode(t, storage)}
	var writers sync.WaitGroup
	for i := range 2000 {
		writers.Go(func() { nodes[i%2].revoke(token(floodID(i))) })
	}
	for range 50 {
		nodes[0].reload()
		nodes[1].reload()
	}
	writers.Wait()
	fresh := newNode(t, storage)
	for _, n := range append(nodes, fresh) {
		n.reload()
		for i := range 2000 {
			if !n.has(floodID(i)) {
				t.Fatalf("entry %d was lost", i)
			}
		}
	}
}

// flood is so many objects of one revocation each, below the folder of nodes.
func (m *memory) flood(t testing.TB, objects int) {
	for k := range objects {
		entries := []Entry{token(floodID(k))}
		key := path.Join("m2m/x/revocations", segmentName(entries, "other", uint64(k)))
		object, err := encodeSegment(key, entries)
		if err != nil {
			t.Fatal(err)
		}
		m.objects[key] = object
	}
}

// slow is a storage that takes its time to load and to delete.
type slow struct {
	*memory
	each          time.Duration
	underWay, max atomic.Int64
}

func (s *slow) Delete(ctx context.Context, key string) error {
	time.Sleep(s.each)
	return s.memory.Delete(ctx, key)
}

func (s *slow) Load(ctx context.Context, key string) ([]byte, error) {
	s.max.Store(max(s.max.Load(), s.underWay.Add(1)))
	defer s.underWay.Add(-1)
	select {
	case <-time.After(s.each):
		return s.memory.Load(ctx, key)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestStartInAFlood: 100,000 revocations are some 200 objects, and 500,000 some 1,000. A start that takes longer than one
// look may goes on as long as it gets on.
func TestStartInAFlood(t *testing.T) {
	for _, test := range []struct {
		objects int
		each    time.Duration
		within  time.Duration
	}{
		{200, 20 * time.Millisecond, time.Second},
		{200, 120 * time.Millisecond, 4 * time.Second},
		{1000, 120 * time.Millisecond, 16 * time.Second},
		{1000, time.Second, 130 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			storage := newMemory()
			storage.flood(t, test.objects)
			s := &slow{memory: storage, each: test.each}
			n := newNode(t, s)
			began := time.Now()
			if err := n.Open(t.Context()); err != nil {
				t.Fatalf("%d objects of %s: %v", test.objects, test.each, err)
			}
			if took := time.Since(began); took > test.within || n.Set().Len() != test.objects || storage.ops["Load"] != test.objects {
				t.Errorf("%d objects of %s: it took %s and %d loads to know %d", test.objects, test.each, took, storage.ops["Load"], n.Set().Len())
			}
			if most := s.max.Load(); most > atOnce {
				t.Errorf("%d were loaded at a time", most)
			}
		})
	}
}

// TestStartWithAStorageThatHangs is not waited for longer than for one look.
func TestStartWithAStorageThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		storage.flood(t, 20)
		n := newNode(t, &slow{memory: storage, each: time.Hour})
		began := time.Now()
		if err := n.Open(t.Context()); !errors.Is(err, ErrUnavailable) || time.Since(began) != storeTimeout {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestFirstLooksThatFailKeepWhatTheyRead, and nothing is in force before all was read.
func TestFirstLooksThatFailKeepWhatTheyRead(t *testing.T) {
	const objects = 100
	storage := newMemory()
	storage.flood(t, objects)
	storage.set("Load " + path.Base(storage.names()[objects/2]))
	n := newNode(t, storage)
	for range 3 {
		if err := n.Open(t.Context()); !errors.Is(err, ErrUnavailable) || n.Set() != nil {
			t.Fatalf("opened with %v, %d entries", err, n.Set().Len())
		}
		n.at.Add(int64(2 * time.Second)) // a failure is remembered for a second
	}
	failed := storage.ops["Load"]
	storage.set("")
	if n.reload(); n.Set().Len() != objects {
		t.Errorf("%d entries", n.Set().Len())
	}
	if again := storage.ops["Load"] - failed; again > objects/2 {
		t.Errorf("%d objects were loaded, although %d were known", again, objects/2)
	}
}

// TestLoadsThatFailAreToldOnce: of several errors it is the same one at each look.
func TestLoadsThatFailAreToldOnce(t *testing.T) {
	storage := newMemory()
	n := newNode(t, storage)
	n.reload()
	storage.flood(t, 100)
	storage.set("Load")
	for look := range 10 {
		if err := n.Reload(); (err != nil) != (look == 0) {
			t.Errorf("look %d says %v", look, err)
		}
	}
}

// TestSegmentReplacedWhileItIsRead: the writer puts a larger one in its place, which a look must find.
func TestSegmentReplacedWhileItIsRead(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	a.revoke(token("A"))
	replaced := 0
	storage.onLoad = func(string) {
		if replaced++; replaced < 5 {
			a.revoke(token(fmt.Sprint("A", replaced)))
			a.awaitDeletion()
		}
	}
	b.reload()
	for _, id := range []string{"A", "A1", "A4"} {
		if !b.has(id) {
			t.Errorf("%s was missed", id)
		}
	}
}

// TestListingThatIsCutShort: to a file storage an unfinished file that vanishes looks like a folder that
// is not there.
func TestListingThatIsCutShort(t *testing.T) {
	storage := newMemory()
	newNode(t, storage).revoke(token("A"))
	storage.cut = 3
	if b := newNode(t, storage); !b.has("A") {
		t.Error("a folder with something in it was taken for none")
	}
	storage.cut = 1000
	if err := newNode(t, storage).Open(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("opened without a listing: %v", err)
	}
}

func TestEntriesVanishWhenTheyAreOver(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	a.revoke(token("A"))
	b.reload()
	for _, step := range []struct {
		after           time.Duration
		memory, objects int
	}{{10 * time.Minute, 1, 1}, {12 * time.Minute, 0, 1}, {70 * time.Minute, 0, 1}, {72 * time.Minute, 0, 0}} {
		b.at.Store(int64(step.after))
		b.reload()
		if b.Set().Len() != step.memory || len(storage.names()) != step.objects {
			t.Errorf("%s after: %d entries in memory, %d objects, want %d and %d", step.after, b.Set().Len(), len(storage.names()), step.memory, step.objects)
		}
	}
	a.at.Store(int64(2 * time.Hour))
	a.revoke(OfToken("B", noon.Add(3*time.Hour)))
	if fresh := newNode(t, storage); fresh.has("A") || !fresh.has("B") {
		t.Error("an entry that is over was written again, or the new one was not")
	}
}

// refusing is a storage that deletes nothing.
type refusing struct {
	*memory
	refuses bool
	asked   atomic.Int64
}

func (r *refusing) Delete(ctx context.Context, key string) error {
	r.asked.Add(1)
	if r.refuses {
		return &fs.PathError{Op: "remove", Path: "/data/" + key, Err: fs.ErrPermission}
	}
	return r.memory.Delete(ctx, key)
}

// TestDeletionsThatAreRefused are reported once, and tried again from time to time.
func TestDeletionsThatAreRefused(t *testing.T) {
	const objects = 200
	storage := &refusing{memory: newMemory(), refuses: true}
	storage.flood(t, objects)
	n := newNode(t, storage)
	look := func(looks int) {
		for range looks {
			n.at.Add(int64(2 * time.Second))
			n.reload()
		}
	}
	n.at.Store(int64(3 * time.Hour))
	if look(10); len(n.faults) != 1 || storage.asked.Load() != objects {
		t.Errorf("%d deletions in 20 s, and it told %q", storage.asked.Load(), n.faults)
	}
	if look(30); len(n.faults) != 1 || storage.asked.Load() != 2*objects || !n.Healthy() {
		t.Errorf("%d deletions a minute later, and it told %q", storage.asked.Load(), n.faults)
	}
	for k := range 5 { // objects that others take the place of
		n.revoke(OfToken(fmt.Sprint(k), noon.Add(4*time.Hour)))
		n.awaitDeletion()
	}
	if len(n.faults) != 1 {
		t.Errorf("of objects that were replaced it told %q", n.faults)
	}
	storage.refuses = false
	n.at.Add(int64(3 * time.Hour))
	if look(1); len(storage.names()) != 0 {
		t.Errorf("%d objects are left", len(storage.names()))
	}
	storage.refuses = true
	storage.flood(t, objects)
	if look(31); len(n.faults) != 2 {
		t.Errorf("refused again, it reported %q", n.faults)
	}
}

// TestDeletionsHoldUpNoLook, however many there are.
func TestDeletionsHoldUpNoLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		n := newNode(t, &slow{memory: storage, each: 100 * time.Millisecond})
		n.reload()
		storage.flood(t, 200)
		n.at.Store(int64(2 * time.Hour))
		for minutes := 0; len(storage.names()) > 0; minutes++ {
			began := time.Now()
			n.reload()
			if took := time.Since(began); took > 2*time.Second || minutes > 5 {
				t.Fatalf("in minute %d a look took %s, and %d objects are left", minutes, took, len(storage.names()))
			}
			n.at.Add(int64(time.Minute))
		}
	})
}

// TestClockThatWasAhead: what was let go of by a clock that was then put back is known again with the next look.
func TestClockThatWasAhead(t *testing.T) {
	const ahead = 20 * time.Minute
	soon := func(id string) Entry { return OfToken(id, noon.Add(5*time.Minute)) }
	later := OfToken("later", noon.Add(12*time.Hour)) // for its sake a segment is read
	for name, meanwhile := range map[string]func(n *node, storage *memory){
		"during a look":                 func(n *node, _ *memory) { n.reload() },
		"during looks, the last failed": func(n *node, storage *memory) { n.reload(); storage.set("List"); _ = n.Reload() },
		"during a revocation":           func(n *node, _ *memory) { n.revoke(later) },
		"in the middle of a look": func(n *node, storage *memory) {
			n.at.Store(0)
			storage.onLoad = func(string) { n.at.Store(int64(ahead)) }
			n.reload()
			storage.onLoad = nil
		},
		"and a look fails afterwards": func(n *node, storage *memory) {
			n.reload()
			n.at.Store(0)
			storage.set("List")
			_ = n.Reload()
		},
	} {
		for begins, first := range map[string]time.Duration{"is right": 0, "is ahead": ahead} {
			t.Run(name+", and at the start it "+begins, func(t *testing.T) {
				storage := newMemory()
				newNode(t, storage).revoke(soon("A"), later)
				n := newNode(t, storage)
				n.at.Store(int64(first))
				n.reload()
				n.revoke(soon("B"))
				newNode(t, storage).revoke(soon("C"), later)
				n.at.Store(int64(ahead))
				meanwhile(n, storage)
				n.awaitDeletion()
				storage.set("")
				n.at.Store(int64(time.Second))
				n.reload()
				for _, n := range []*node{n, newNode(t, storage)} {
					if !n.has("A") || !n.has("B") || !n.has("C") || !n.Healthy() {
						t.Errorf("A is revoked %t, B %t, C %t, and the problem is %q", n.has("A"), n.has("B"), n.has("C"), n.Problem())
					}
				}
				loads := storage.ops["Load"]
				n.at.Add(int64(2 * time.Second))
				n.reload()
				if storage.ops["Load"] != loads {
					t.Error("it is read again although the clock went on")
				}
			})
		}
	}
}

// holding returns a function that puts other content into the envelope of a segment.
func holding(content string) func([]byte) []byte {
	return func(object []byte) []byte {
		label, _, _ := strings.Cut(strings.TrimPrefix(string(object), "caddy-m2m "), " sha256:")
		return envelope.Seal(label, []byte(content))
	}
}

func TestBrokenObjectHindersNoOther(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":              func([]byte) []byte { return nil },
		"truncated":          func(o []byte) []byte { return o[:len(o)-20] },
		"bit-flipped":        func(o []byte) []byte { return []byte(strings.Replace(string(o), `"jti":"A"`, `"jti":"C"`, 1)) },
		"HTML":               func([]byte) []byte { return []byte("<html>") },
		"of another name":    func(o []byte) []byte { return []byte(strings.Replace(string(o), "revocations ", "revocations 1", 1)) },
		"without a checksum": func(o []byte) []byte { return o[bytes.IndexByte(o, '\n')+1:] },
		"not entries":        holding("{}"),
		"two names":          holding(`[{"jti":"A","client_id":"C","exp":9999999999}]`),
	} {
		t.Run(name, func(t *testing.T) {
			storage := newMemory()
			a, b := newNode(t, storage), newNode(t, storage)
			a.revoke(token("A"))
			good := storage.objects[storage.names()[0]]
			key := storage.names()[0]
			b.reload() // b has it, and c will not
			b.revoke(token("B"))
			storage.objects[key] = damage(good)
			c := newNode(t, storage)
			for range 3 {
				b.reload()
				c.reload()
			}
			if !b.has("A") || !b.Healthy() {
				t.Error("what was read before is lost")
			}
			if c.has("A") || c.has("C") || !c.has("B") || c.Healthy() || !strings.Contains(c.Problem(), key) {
				t.Errorf("A %t, C %t, B %t, problem %q", c.has("A"), c.has("C"), c.has("B"), c.Problem())
			}
			if len(c.faults) != 1 || !strings.Contains(c.faults[0], key) {
				t.Errorf("told %q, want once", c.faults)
			}
			storage.objects[key] = good
			c.reload()
			if !c.has("A") || !c.Healthy() {
				t.Errorf("mended, and: %q", c.Problem())
			}
		})
	}
}

// verify has the node look when it is time to read all again.
func (n *node) verify() {
	n.t.Helper()
	n.at.Add(int64(verifyInterval))
	n.reload()
}

// TestLostSegmentsAreStoredAgain: what a node knows and the storage has lost is there again for those that start later.
func TestLostSegmentsAreStoredAgain(t *testing.T) {
	for name, test := range map[string]struct {
		lose  func(storage *memory, key string)
		whole bool // it is before the node looks
	}{
		"deleted": {func(storage *memory, key string) { delete(storage.objects, key) }, true},
		"damaged": {func(storage *memory, key string) { storage.objects[key] = []byte("<html>") }, false},
	} {
		for _, by := range []string{"who wrote it", "who read it"} {
			t.Run(name+", "+by, func(t *testing.T) {
				storage := newMemory()
				a, b := newNode(t, storage), newNode(t, storage)
				a.revoke(later("A"), OfClient("bot", noon), token("soon over"))
				a.reload()
				b.reload()
				n := map[string]*node{"who wrote it": a, "who read it": b}[by]
				var again []int
				n.OnRestored = func(entries int) { again = append(again, entries) }
				n.at.Store(int64(20 * time.Minute))
				n.reload() // a pass, so that the next is due later
				test.lose(storage, storage.names()[0])
				if n.at.Add(int64(2 * time.Second)); newNode(t, storage).has("A") {
					t.Fatal("it was not lost")
				}
				changes := n.Changes()
				n.verify()
				if !test.whole && (n.Healthy() || n.Complete() == nil || n.Fresh() != nil || len(n.faults) != 1) {
					t.Errorf("the problem is %q, and it told %q", n.Problem(), n.faults)
				}
				for range 3 {
					n.verify()
				}
				fresh := newNode(t, storage)
				fresh.at.Store(n.at.Load())
				if revoked, _ := fresh.Revoked(t.Context(), "", "bot", noon); !revoked || !fresh.has("A") || fresh.Set().Len() != 2 {
					t.Errorf("who starts later knows %v", fresh.Set().Entries(noon, Entry{}, 9))
				}
				if !n.Healthy() || !fresh.Healthy() || len(storage.names()) != 1 {
					t.Errorf("the problem is %q, and there are %q", n.Problem(), storage.names())
				}
				if len(a.queue.tail) != 3 {
					t.Errorf("its last segment has %v", a.queue.tail)
				}
				if !slices.Equal(again, []int{2}) || n.Changes() != changes {
					t.Errorf("it told of %v, and of %d changes", again, n.Changes()-changes)
				}
			})
		}
	}
}

func later(id string) Entry { return OfToken(id, noon.Add(12*time.Hour)) }

// TestDamagedSegmentThatWasNeverReadStays: no node knows all that was in it.
func TestDamagedSegmentThatWasNeverReadStays(t *testing.T) {
	storage := newMemory()
	newNode(t, storage).revoke(later("A"))
	key := storage.names()[0]
	good := storage.objects[key]
	storage.objects[key] = nil
	n := newNode(t, storage)
	n.reload()
	n.revoke(later("B"))
	n.reload()
	loads := storage.ops["Load"]
	for range 3 {
		n.verify()
	}
	if loads = storage.ops["Load"] - loads; loads != 3*2 {
		t.Errorf("%d loads of two segments in three passes", loads)
	}
	if n.Healthy() || len(storage.names()) != 2 {
		t.Errorf("the problem is %q, and there are %q", n.Problem(), storage.names())
	}
	storage.objects[key] = good
	if n.verify(); !n.has("A") || !n.Healthy() {
		t.Errorf("mended, and A is revoked %t: %q", n.has("A"), n.Problem())
	}
}

// TestDamageIsNotedUntilItIsMended, also where the entries cannot be stored again.
func TestDamageIsNotedUntilItIsMended(t *testing.T) {
	storage := newMemory()
	n := newNode(t, storage)
	n.revoke(later("A"))
	n.reload()
	key := storage.names()[0]
	good := storage.objects[key]
	storage.objects[key] = good[:40]
	storage.set("Store")
	n.verify()
	n.verify()
	if n.Healthy() || len(storage.names()) != 1 {
		t.Errorf("the problem is %q, and there are %q", n.Problem(), storage.names())
	}
	storage.set("")
	storage.objects[key] = good
	if n.reload(); !n.Healthy() {
		t.Errorf("mended, and the problem is %q", n.Problem())
	}
	storage.objects[key] = good[:40]
	n.verify()
	n.reload()
	if !n.Healthy() || slices.Contains(storage.names(), key) || !newNode(t, storage).has("A") {
		t.Errorf("the problem is %q, and there are %q", n.Problem(), storage.names())
	}
}

// TestNothingIsStoredAgain that is in storage, or of which that cannot be known.
func TestNothingIsStoredAgain(t *testing.T) {
	begin := func(t *testing.T) (storage *memory, n, other *node) {
		storage = newMemory()
		n, other = newNode(t, storage), newNode(t, storage)
		n.OnRestored = func(entries int) { t.Errorf("%d entries were stored again", entries) }
		other.revoke(later("A"))
		n.reload()
		return storage, n, other
	}
	stores := func(t *testing.T, storage *memory, want int) {
		t.Helper()
		if got := storage.ops["Store"]; got != want {
			t.Errorf("%d writes, want %d", got, want)
		}
	}
	t.Run("it is all there", func(t *testing.T) {
		storage, n, _ := begin(t)
		for range 3 {
			n.verify()
		}
		stores(t, storage, 1)
	})
	t.Run("its segment is replaced while it is read", func(t *testing.T) {
		storage, n, other := begin(t)
		storage.onLoad = func(string) {
			storage.onLoad = nil
			other.revoke(later("B"))
			other.awaitDeletion()
		}
		n.verify()
		n.reload()
		stores(t, storage, 2)
	})
	t.Run("it is revoked here while others are read", func(t *testing.T) {
		storage, n, _ := begin(t)
		storage.onLoad = func(string) {
			storage.onLoad = nil
			n.revoke(later("B"))
		}
		n.verify()
		n.verify()
		stores(t, storage, 2)
	})
	t.Run("a segment cannot be read", func(t *testing.T) {
		storage, n, other := begin(t)
		newNode(t, storage).revoke(later("B"))
		n.reload()
		delete(storage.objects, other.queue.name)
		storage.set("Load")
		n.verify()
		stores(t, storage, 2)
		if len(n.faults) != 1 || !n.Healthy() {
			t.Errorf("told %q, and the problem is %q", n.faults, n.Problem())
		}
	})
	t.Run("it is another storage", func(t *testing.T) {
		storage, n, _ := begin(t)
		n.Present = func(context.Context) bool { return false }
		clear(storage.objects)
		n.at.Add(int64(verifyInterval))
		if err := n.Reload(); err == nil {
			t.Error("the look worked")
		}
		stores(t, storage, 1)
	})
}

// TestWhatPeersToldIsStoredAgain by a config that takes over, which does not read it.
func TestWhatPeersToldIsStoredAgain(t *testing.T) {
	storage := newMemory()
	former, other := newNode(t, storage), newNode(t, storage)
	former.revoke(later("A"), later("B"))
	other.revoke(later("C"))
	former.reload()
	storage.objects[former.queue.name] = nil
	n := newNode(t, storage)
	n.Merge(former.Set().Entries(noon, Entry{}, 9)...)
	if err := n.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if fresh := newNode(t, storage); !fresh.has("A") || !fresh.has("B") || len(storage.names()) != 3 || len(n.queue.tail) != 2 {
		t.Errorf("A is revoked %t, B %t, and there are %q", fresh.has("A"), fresh.has("B"), storage.names())
	}
}

// TestVerifyingHoldsUpNoLook, however much there is and however slow the storage is: the next look goes on.
func TestVerifyingHoldsUpNoLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		n := newNode(t, &slow{memory: storage, each: 120 * time.Millisecond})
		storage.flood(t, 200)
		n.reload()
		key := storage.names()[199]
		storage.objects[key] = nil
		n.at.Add(int64(verifyInterval))
		loads := storage.ops["Load"]
		for looks := 1; slices.Contains(storage.names(), key); looks++ {
			began := time.Now()
			n.reload()
			if took := time.Since(began); took > 1500*time.Millisecond || looks > 4 {
				t.Fatalf("look %d took %s", looks, took)
			}
		}
		if n.reload(); storage.ops["Load"]-loads > 205 || !n.Healthy() {
			t.Errorf("%d loads, and the problem is %q", storage.ops["Load"]-loads, n.Problem())
		}
	})
}

func TestStorageAway(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	b.reload()
	a.revoke(token("A"))
	for _, operation := range []string{"List", "Load"} {
		storage.set(operation)
		if err := b.Reload(); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errAway) {
			t.Errorf("%s: the look failed with %v", operation, err)
		}
		if err := b.Reload(); err != nil {
			t.Errorf("%s: told twice: %v", operation, err)
		}
		if b.Healthy() || b.Fresh() == nil || b.has("A") {
			t.Errorf("%s: healthy %t", operation, b.Healthy())
		}
		if err := newNode(t, storage).Open(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: opened without a storage: %v", operation, err)
		}
	}
	storage.set("")
	b.reload()
	if !b.has("A") || !b.Healthy() {
		t.Errorf("back again, and: %q", b.Problem())
	}
	storage.set("Store")
	if err := b.Revoke(t.Context(), token("B")); !errors.Is(err, ErrUnavailable) || b.has("B") {
		t.Errorf("revoked without a storage: %v, in force %t", err, b.has("B"))
	}
	storage.set("Delete") // of what was replaced: it does no harm
	a.revoke(token("C"))
	storage.set("")
	b.reload()
	if !b.has("A") || !b.has("C") || b.has("B") {
		t.Error("revocations around a failure are lost")
	}
}

// losing is a storage to which each connection is lost.
type losing struct {
	*memory
	port int // of this end
}

func (l *losing) List(context.Context, string, bool) ([]string, error) {
	l.port++
	return nil, fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:6379: i/o timeout", l.port)
}

// TestLostConnectionsAreToldOnce: each is another one, and the reason is the same.
func TestLostConnectionsAreToldOnce(t *testing.T) {
	n := newNode(t, &losing{newMemory(), 40000})
	for look := range 5 {
		if err := n.Reload(); (err != nil) != (look == 0) {
			t.Errorf("look %d says %v", look, err)
		}
	}
}

// TestSegmentThatIsOnlyListed is that of a storage which lists what it was killed before it had.
func TestSegmentThatIsOnlyListed(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	b.reload()
	ghost := path.Join(a.folder, segmentName([]Entry{token("B")}, "other", 1))
	storage.ghosts = []string{ghost}
	a.revoke(token("A"))
	fresh := newNode(t, storage)
	for _, n := range []*node{a, b, fresh} {
		n.reload()
		if !n.has("A") || !n.Healthy() {
			t.Errorf("A is revoked %t, and the problem is %q", n.has("A"), n.Problem())
		}
	}
	object, err := encodeSegment(ghost, []Entry{token("B")})
	if err != nil {
		t.Fatal(err)
	}
	storage.objects[ghost] = object // it was only slow
	for _, n := range []*node{a, b, fresh} {
		n.reload()
		if !n.has("B") {
			t.Error("what was stored later is not known")
		}
	}
}

// TestMerge: what another store has revoked is in force at once, also when this one is just looking for the first time.
func TestMerge(t *testing.T) {
	storage := newMemory()
	other := newNode(t, storage)
	other.revoke(token("A"))
	n := newNode(t, storage)
	storage.onLoad = func(string) { // after the listing
		storage.onLoad = nil
		other.revoke(token("B"))
		n.Merge(token("B"))
	}
	if !n.has("A") || !n.has("B") {
		t.Error("what was told during the first look was lost")
	}
	n.Merge(token("C"))
	if !n.has("C") {
		t.Error("what was told later is not in force")
	}
}

// TestStorageThatIsEmptyOfASudden is that of a folder on which nothing is mounted any more.
func TestStorageThatIsEmptyOfASudden(t *testing.T) {
	storage := newMemory()
	n := newNode(t, storage)
	present := true
	n.Present = func(context.Context) bool { return present }
	n.revoke(token("A"))
	n.reload()
	storage.mu.Lock()
	objects := storage.objects
	storage.objects = make(map[string][]byte)
	storage.mu.Unlock()
	present = false
	n.at.Store(int64(10 * time.Second))
	if err := n.Reload(); !errors.Is(err, ErrUnavailable) || n.Age() != 10*time.Second || n.Fresh() == nil {
		t.Errorf("the look says %v, %s old", err, n.Age())
	}
	if err := n.Revoke(t.Context(), token("B")); !errors.Is(err, ErrUnavailable) || len(storage.names()) != 0 {
		t.Errorf("revoking says %v, and there are %q", err, storage.names())
	}
	if !n.has("A") || n.has("B") {
		t.Error("what was known is not in force, or what was refused is")
	}
	storage.mu.Lock()
	storage.objects, present = objects, true
	storage.mu.Unlock()
	n.reload()
	if n.revoke(token("B")); n.Age() != 0 || !n.has("A") || !n.has("B") {
		t.Error("when it is back it is not whole")
	}
}

// TestAnotherStorage is that of a folder on which nothing is mounted any more, and in which something was before.
func TestAnotherStorage(t *testing.T) {
	storage, other := newMemory(), newMemory()
	n := newNode(t, storage)
	present := true
	n.Present = func(context.Context) bool { return present }
	n.revoke(token("A"))
	n.reload()
	newNode(t, other).revoke(token("B"), token("C"))
	newNode(t, other).revoke(token("D"))
	storage.mu.Lock()
	storage.objects = other.objects
	storage.mu.Unlock()
	present = false
	n.at.Store(int64(10 * time.Second))
	if err := n.Reload(); !errors.Is(err, ErrUnavailable) || n.Age() != 10*time.Second {
		t.Errorf("the look says %v, %s old", err, n.Age())
	}
}

// TestNothingIsKnownBeforeAllIs: a first look that fails half-way does not make an open store.
func TestNothingIsKnownBeforeAllIs(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	a.revoke(token("A"))
	b.revoke(token("B"))
	names := storage.names()
	storage.set("Load " + path.Base(names[1]))
	c := newNode(t, storage)
	for range 2 {
		if _, err := c.Revoked(t.Context(), "A", "", noon); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("judged without knowing: %v", err)
		}
	}
	storage.set("")
	c.at.Store(int64(2 * time.Second)) // a failure is remembered for a second
	if !c.has("A") || !c.has("B") {
		t.Error("a revocation was lost")
	}
}

func TestAge(t *testing.T) {
	a := newNode(t, newMemory())
	a.reload()
	a.at.Store(int64(20 * time.Second))
	if a.Age() != 20*time.Second || a.Fresh() != nil {
		t.Errorf("age %s, %v", a.Age(), a.Fresh())
	}
	a.at.Store(int64(31 * time.Second))
	if a.Fresh() == nil || a.Healthy() {
		t.Error("the last look was 31 s ago, and the store is healthy")
	}
}

func TestRevokeRefusesWhatCannotBeMeant(t *testing.T) {
	storage := newMemory()
	if err := newNode(t, storage).Revoke(t.Context(), OfToken("A", noon.Add(48*time.Hour))); err == nil || len(storage.names()) != 0 {
		t.Errorf("refused with %v, %d objects", err, len(storage.names()))
	}
}

// TestFloodInStorage is 100,000 revocations: what they take in memory and in storage is bounded.
func TestFloodInStorage(t *testing.T) {
	storage := newMemory()
	a := newNode(t, storage)
	for n := 0; n < 100_000; n += 100 {
		entries := make([]Entry, 100)
		for i := range entries {
			entries[i] = token(floodID(n + i))
		}
		a.revoke(entries...)
	}
	if objects := len(storage.names()); objects > 2*100_000/segmentSize {
		t.Errorf("%d objects", objects)
	}
	before := heap()
	b := newNode(t, storage)
	b.reload()
	grown := heap() - before
	if b.Set().Len() != 100_000 {
		t.Fatalf("%d entries", b.Set().Len())
	}
	if grown > 30<<20 {
		t.Errorf("100,000 entries take %d KiB", grown>>10)
	}
	t.Logf("100,000 entries: %d objects, %d KiB of memory", len(storage.names()), grown>>10)
	b.at.Store(int64(2 * time.Hour))
	b.reload()
	if b.Set().Len() != 0 || len(storage.names()) != 0 {
		t.Errorf("%d entries and %d objects are left", b.Set().Len(), len(storage.names()))
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func FuzzDecodeSegment(f *testing.F) {
	const key = "revocations/1-a-1.json"
	for _, content := range []string{`[{"jti":"A","exp":1}]`, `[{"client_id":"bot","before":1,"exp":2}]`, `[{"jti":"A","client_id":"bot","exp":1}]`, "null", ""} {
		f.Add([]byte(content))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := decodeSegment(key, content); err == nil {
			t.Fatal("an object without an envelope is read")
		}
		entries, err := decodeSegment(key, envelope.Seal(segmentLabel(key), content))
		if err != nil {
			return
		}
		object, err := encodeSegment(key, entries)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeSegment(key, object)
		if err != nil || !slices.Equal(again, entries) {
			t.Fatalf("%v became %v, %v", entries, again, err)
		}
	})
}
