package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// connection is how one node reaches a memory. It counts calls, and can break.
type connection struct {
	*memory
	left   int  // calls until it breaks; negative never
	late   bool // the write that breaks it takes effect
	reads  int
	lists  int
	onLoad func(key string)
}

var errDied = errors.New("the node has died")

func (c *connection) dies() bool {
	if c.left < 0 {
		return false
	}
	c.left = max(0, c.left-1)
	return c.left == 0
}

func (c *connection) Load(ctx context.Context, key string) ([]byte, error) {
	c.reads++
	if c.dies() {
		return nil, errDied
	}
	if c.onLoad != nil {
		c.onLoad(key)
	}
	return c.memory.Load(ctx, key)
}

func (c *connection) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	c.lists++
	if c.dies() {
		return nil, errDied
	}
	return c.memory.List(ctx, folder, recursive)
}

func (c *connection) Store(ctx context.Context, key string, value []byte) error {
	return c.write(func() error { return c.memory.Store(ctx, key, value) })
}

func (c *connection) Delete(ctx context.Context, key string) error {
	return c.write(func() error { return c.memory.Delete(ctx, key) })
}

func (c *connection) write(do func() error) error {
	if !c.dies() {
		return do()
	}
	if c.late {
		c.late = false
		_ = do()
	}
	return errDied
}

// cluster is two nodes of a registry with an index, which a test breaks in many ways.
type cluster struct {
	t      *testing.T
	random *rand.Rand
	m      *memory
	at     [2]*connection
	nodes  [2]*store.Store
	backup map[string][]byte
	log    []string
}

func newCluster(t *testing.T, seed uint64) *cluster {
	c := &cluster{t: t, random: rand.New(rand.NewPCG(seed, 0)), m: newMemory()}
	c.start(0)
	c.start(1)
	for _, code := range resourceCodes {
		putResource(t, c.nodes[0], code, actionNames...)
	}
	c.nodes[0].Close()
	c.backup = maps.Clone(c.m.objects)
	return c
}

func (c *cluster) start(n int) {
	c.at[n] = &connection{memory: c.m, left: -1}
	c.nodes[n] = newStore(c.at[n])
	c.nodes[n].SetIndexing(5, 4)
}

var (
	resourceCodes = []string{"r0", "r1", "r2", "r3"}
	actionNames   = []string{"a0", "a1", "a2"}
)

func (c *cluster) id() string {
	return []string{"", "a", "a/", "B", "zz-"}[c.random.IntN(5)] + fmt.Sprint(c.random.IntN(12))
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func (c *cluster) client(id string) *registry.Client {
	client := &registry.Client{ID: id, Description: fmt.Sprint(c.random.IntN(3))}
	for range c.random.IntN(4) {
		g := grant(pick(c.random, append([]string{"*"}, resourceCodes...)), "*", pick(c.random, append([]string{"*"}, actionNames...)))
		g.Identifiers = []string{fmt.Sprint(len(client.Grants))}
		client.Grants = append(client.Grants, g)
	}
	return client
}

// step does something to the cluster, which may fail.
func (c *cluster) step() {
	n := c.random.IntN(2)
	s := c.nodes[n]
	dies := c.random.IntN(3) == 0
	if dies {
		c.at[n].left, c.at[n].late = 1+c.random.IntN(25), c.random.IntN(2) == 0
	}
	what, err := c.act(s)
	c.log = append(c.log, fmt.Sprintf("node %d, dies %v: %s: %v", n, dies, what, err))
	s.Close() // the lock of a dead node becomes stale
	if dies {
		c.start(n)
	}
}

func (c *cluster) act(s *store.Store) (what string, err error) {
	switch n := c.random.IntN(12); {
	case n < 8:
		return c.change(s)
	case n == 8:
		return "lose", c.lose()
	}
	return "build", s.BuildIndex(ctx)
}

func (c *cluster) change(s *store.Store) (what string, err error) {
	switch c.random.IntN(8) {
	case 0, 1, 2, 3:
		id := c.id()
		_, err = s.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) { return c.client(id), nil })
		return "put " + id, err
	case 4, 5:
		id := c.id()
		_, err = s.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) { return nil, nil })
		return "delete " + id, err
	case 6:
		return c.apply(s)
	default:
		code := pick(c.random, resourceCodes)
		_, err = s.EditResource(ctx, code, func(*registry.Resource) (*registry.Resource, error) {
			actions := map[string]string{"a0": "", pick(c.random, actionNames): "", pick(c.random, actionNames): ""}
			return &registry.Resource{Code: code, Actions: actions}, nil
		})
		return "change " + code, err
	}
}

func (c *cluster) apply(s *store.Store) (string, error) {
	clients := make(map[string]*registry.Client)
	for range c.random.IntN(20) {
		id := c.id()
		clients[id] = c.client(id)
	}
	if c.random.IntN(10) == 0 { // more than a journal remembers
		for i := range 520 {
			id := fmt.Sprintf("many-%03d", i)
			clients[id] = &registry.Client{ID: id, Description: fmt.Sprint(c.random.IntN(1000))}
		}
	}
	resources := make(map[string]*registry.Resource)
	for _, code := range resourceCodes {
		resources[code] = &registry.Resource{Code: code, Actions: map[string]string{"a0": "", "a1": "", "a2": ""}}
	}
	data, err := json.Marshal(map[string]any{"resources": resources, "clients": clients})
	if err != nil {
		c.t.Fatal(err)
	}
	o := store.ApplyOptions{Prune: c.random.IntN(3) == 0}
	_, err = s.Apply(ctx, "registry.json", data, o)
	return fmt.Sprintf("apply %d clients, prune %v", len(clients), o.Prune), err
}

// lose loses parts of the index, or puts older ones in their place, as people and restored backups do.
func (c *cluster) lose() error {
	isIndex := func(key string) bool { return strings.HasPrefix(key, "test/registry/index/") }
	switch c.random.IntN(6) {
	case 0: // an object
		for key := range c.m.objects {
			if isIndex(key) && c.random.IntN(3) == 0 {
				delete(c.m.objects, key)
			}
		}
	case 1: // the folder
		maps.DeleteFunc(c.m.objects, func(key string, _ []byte) bool { return isIndex(key) })
	case 2: // the folder is restored from a backup
		maps.DeleteFunc(c.m.objects, func(key string, _ []byte) bool { return isIndex(key) })
		for key, object := range c.backup {
			if isIndex(key) {
				c.m.objects[key] = object
			}
		}
	case 3: // everything is, and all nodes restart
		c.m.objects = maps.Clone(c.backup)
		c.start(0)
		c.start(1)
	case 4:
		c.backup = maps.Clone(c.m.objects)
	case 5: // the object of the journal as a version without indexes writes it
		c.m.edit(journalKey, withoutIndex)
	}
	return nil
}

// withoutIndex returns the journal as a version without indexes writes it.
func withoutIndex(object []byte) []byte {
	content, err := envelope.Open("journal", object)
	if err != nil {
		return object
	}
	var j map[string]json.RawMessage
	if err := json.Unmarshal(content, &j); err != nil {
		return object
	}
	delete(j, "index")
	content, _ = json.Marshal(j)
	return envelope.Seal("journal", content)
}

// stored returns the ids of the clients that are stored, sorted.
func (c *cluster) stored() []string {
	unescape := strings.NewReplacer("=2f", "/", "+b", "B")
	var ids []string
	for _, key := range c.m.keys() {
		if name, ok := strings.CutPrefix(key, "test/registry/clients/"); ok {
			ids = append(ids, unescape.Replace(strings.TrimSuffix(name, ".json")))
		}
	}
	slices.Sort(ids)
	return ids
}

// check compares what the nodes say with what is stored.
func (c *cluster) check(seed uint64) {
	for n, s := range c.nodes {
		if _, err := s.Reload(); err != nil {
			c.t.Fatalf("seed %d: node %d: %v\n%s", seed, n, err, strings.Join(c.log, "\n"))
		}
		ids := c.stored()
		for range 4 {
			prefix, after, limit := []string{"", "a", "a/", "zz-1", "m"}[c.random.IntN(5)], c.id(), 1+c.random.IntN(9)
			if c.random.IntN(2) == 0 {
				after = ""
			}
			got, err := s.ClientIDs(ctx, prefix, after, limit)
			if want := registry.PageOfIDs(ids, prefix, after, limit); err != nil || !slices.Equal(got, want) {
				c.t.Fatalf("seed %d: node %d lists %q after %q, %d: %q, %v; stored are %q\n%s",
					seed, n, prefix, after, limit, got, err, want, strings.Join(c.log, "\n"))
			}
		}
		if got, err := s.ClientIDs(ctx, "", "", 0); err != nil || !slices.Equal(got, ids) {
			c.t.Fatalf("seed %d: node %d lists all as %q, %v; stored are %q\n%s", seed, n, got, err, ids, strings.Join(c.log, "\n"))
		}
		c.checkUsers(seed, s)
	}
}

func (c *cluster) checkUsers(seed uint64, s *store.Store) {
	resources, err := s.Resources(ctx)
	if err != nil || len(resources) == 0 {
		c.t.Fatalf("seed %d: resources %v, %v", seed, resources, err)
	}
	r := resources[c.random.IntN(len(resources))]
	var after *registry.Resource
	if c.random.IntN(2) == 0 {
		after = &registry.Resource{Code: r.Code, Actions: maps.Clone(r.Actions)}
		delete(after.Actions, pick(c.random, actionNames))
	}
	var damage error
	if c.random.IntN(4) == 0 {
		r, damage = nil, registry.ErrBroken
	}
	code := resources[0].Code
	if after != nil {
		code = after.Code
	}
	changes := []registry.Change{registry.ResourceChange(code, r, damage, after)}
	got, want := s.CheckUnused(ctx, changes, true), s.CheckUnused(ctx, changes, false)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Fatalf("seed %d: with the index: %v\nwithout: %v\n%s", seed, got, want, strings.Join(c.log, "\n"))
	}
}

// TestIndexIsWhatIsStored: whatever is changed by two nodes, wherever one of them dies, and whatever parts of the index are
// lost or old, lists have the clients that are stored, and removals find the grants that are stored.
func TestIndexIsWhatIsStored(t *testing.T) {
	t.Parallel()
	runs, indexed, checks := 30, 0, 0
	if testing.Short() || raceDetector {
		runs = 5
	}
	first := rand.Uint64N(1 << 32)
	t.Logf("the first seed is %d", first)
	for run := range uint64(runs) {
		c := newCluster(t, first+run)
		for range 40 {
			c.step()
			c.check(first + run)
			checks++
			if c.nodes[0].HasIndex(ctx) {
				indexed++
			}
		}
	}
	if indexed < checks/4 {
		t.Errorf("there was an index in only %d of %d checks", indexed, checks)
	}
}

// TestIndexIsMadeDuringChanges: clients that change while the index is made are in it as they are at its end.
func TestIndexIsMadeDuringChanges(t *testing.T) {
	t.Parallel()
	first := rand.Uint64N(1 << 32)
	t.Logf("the first seed is %d", first)
	for run := range uint64(30) {
		c := newCluster(t, first+run)
		for range 30 {
			id := c.id()
			putClient(t, c.nodes[0], id, c.client(id).Grants...)
		}
		c.nodes[0].Close()
		reads := 0
		c.at[0].onLoad = func(key string) {
			if reads++; !strings.Contains(key, "/clients/") || reads > 15 || c.random.IntN(3) == 0 {
				return
			}
			c.nodes[0].Close() // it keeps the lock for a second
			what, err := c.change(c.nodes[1])
			c.log = append(c.log, fmt.Sprintf("meanwhile %s: %v", what, err))
			c.nodes[1].Close()
		}
		err := c.nodes[0].BuildIndex(ctx)
		c.at[0].onLoad = nil
		c.nodes[0].Close()
		c.log = append(c.log, fmt.Sprintf("built: %v", err))
		c.check(first + run)
	}
}
