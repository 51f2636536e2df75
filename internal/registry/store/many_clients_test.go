package store

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// clientCount is how many clients are in the storage: few for a test, and a million for the table in
// docs/performance.md (go test ./internal/registry/store -run ManyClients -clients 1000000 -v -timeout 30m).
var clientCount = flag.Int("clients", 3_000, "clients in the storage of TestManyClients")

// TestManyClients: a store starts without reading the clients, and keeps only as many as its cache can hold.
func TestManyClients(t *testing.T) {
	folder := t.TempDir()
	fill(t, folder, *clientCount)
	runtime.GC()
	heapBefore := heap()
	s := New(&certmagic.FileStorage{Path: folder}, "registry")
	s.SetCacheSize(min(DefaultCacheSize, *clientCount/10))
	ctx := context.Background()
	timed(t, "start", 1, func(int) error { return s.Open(ctx) })
	t.Logf("after the start: %s", resident())
	if s.clients.known.Len() != 0 {
		t.Errorf("%d clients were read before anybody asked", s.clients.known.Len())
	}
	lookups := min(*clientCount, 100_000)
	step := *clientCount / lookups
	lookup := func(i int) error { _, err := s.Client(ctx, nthClient(i*step)); return err }
	timed(t, "lookup, from storage", lookups, lookup)
	last := lookups - 1
	lastID := nthClient(last * step)
	timed(t, "lookup, from memory", 1_000_000, func(int) error { _, err := s.Client(ctx, lastID); return err })
	timed(t, "lookup of an unknown client", 1_000, func(i int) error {
		if _, err := s.Client(ctx, fmt.Sprint("nobody-", i)); err != registry.ErrNotFound {
			return fmt.Errorf("answer is %w", err)
		}
		return nil
	})
	if n := s.clients.known.Len(); n > min(DefaultCacheSize, *clientCount/10) {
		t.Errorf("%d clients are in memory", n)
	}
	runtime.GC()
	t.Logf("heap after the lookups: %d MiB more than before the start; %s", int64(heap()-heapBefore)>>20, resident())
	page := func(int) error {
		ids, err := s.ClientIDs(ctx, "client-", "", 100)
		if err == nil && len(ids) != 100 {
			err = fmt.Errorf("%d ids", len(ids))
		}
		return err
	}
	s.nextBuild.Store(math.MaxInt64) // not in the background
	timed(t, "first page of a list, without an index", 1, page)
	timed(t, "next page of a list, without an index", 1, page)
	s.forgetListing()
	many := min(*clientCount/10, 10_000)
	applyMany := func(prefix string) func(int) error {
		s.Close() // a node that has the lock for long leaves it free before the next change
		return func(int) error { _, err := s.Apply(ctx, "", manyNew(prefix, many), ApplyOptions{}); return err }
	}
	timed(t, fmt.Sprint("apply of ", many, " new clients, without an index"), 1, applyMany("a"))
	timed(t, "check of all clients for a removal, without an index", 1, func(int) error {
		resource := s.resources.Load().ByCode["book"]
		less := &registry.Resource{Code: "book", Actions: map[string]string{"read": ""}}
		return s.CheckUnused(ctx, []registry.Change{registry.ResourceChange("book", resource, nil, less)}, false)
	})
	timed(t, "making the index", 1, func(int) error { return s.buildIndex(ctx, "") })
	s.nextCheck.Store(math.MaxInt64)
	timed(t, "first page of a list", 1, page)
	timed(t, "next page of a list", 20, page)
	timed(t, "checking the index", 1, func(int) error { return s.checkIndex(ctx) })
	timed(t, fmt.Sprint("apply of ", many, " new clients"), 1, applyMany("b"))
	s.Close()
	timed(t, "a change of a client", 20, func(i int) error {
		_, err := s.EditClient(ctx, nthClient(i), func(c *registry.Client) (*registry.Client, error) { c.Description = "x"; return c, nil })
		return err
	})
	timed(t, "a new client", 20, func(i int) error {
		_, err := s.EditClient(ctx, fmt.Sprint(nthClient(i), "-new"), func(*registry.Client) (*registry.Client, error) {
			return &registry.Client{Grants: []scope.Grant{{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"}}}}, nil
		})
		return err
	})
	timed(t, "removal of an unused action", 1, func(int) error {
		_, err := s.EditResource(ctx, "book", func(r *registry.Resource) (*registry.Resource, error) { delete(r.Actions, "edit"); return r, nil })
		return err
	})
	t.Logf("at the end: %s", resident())
}

func nthClient(i int) string { return fmt.Sprintf("client-%07d", i) }

// manyNew returns a registry file with new clients, whose ids are spread among the others.
func manyNew(prefix string, n int) []byte {
	var file strings.Builder
	file.WriteString(`{"clients": {`)
	for i := range n {
		if i > 0 {
			file.WriteString(",")
		}
		fmt.Fprintf(&file, `"%s-%s": {"grants": [{"resource": "book", "identifiers": ["*"], "actions": ["read"]}]}`, nthClient(i*10), prefix)
	}
	file.WriteString("}}")
	return []byte(file.String())
}

// timed logs how long something took on average.
func timed(t *testing.T, what string, times int, do func(i int) error) {
	t.Helper()
	start := time.Now()
	for i := range times {
		if err := do(i); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	t.Logf("%s: %v", what, time.Since(start)/time.Duration(times))
}

// fill writes objects as the store does, but without waiting for the disk.
func fill(t *testing.T, folder string, n int) {
	t.Helper()
	put := func(kind, id, label string, entry interface{ MarshalJSON() ([]byte, error) }) {
		data, err := entry.MarshalJSON()
		name, nameErr := recordName(id)
		if err != nil || nameErr != nil {
			t.Fatal(err, nameErr)
		}
		if err := os.WriteFile(filepath.Join(folder, "registry", kind, name), envelope.Seal(label, data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []string{"clients", "resources"} {
		if err := os.MkdirAll(filepath.Join(folder, "registry", kind), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put("resources", "book", resourceLabel("book"), &registry.Resource{Code: "book", Actions: map[string]string{"read": "Read", "edit": "Edit"}})
	for i := range n {
		id := nthClient(i)
		put("clients", id, clientLabel(id), &registry.Client{
			ID: id, Attributes: map[string]any{"team": "catalogue"},
			Secrets: []registry.Secret{{ID: "s1", SHA256: registry.SumSecret("the secret of " + id)}},
			Grants: []scope.Grant{
				{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"}},
				{Resource: "book", Identifiers: []string{"secret-*"}, Actions: []string{"*"}, Deny: true},
			},
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// resident returns the memory of this process, if the system tells it.
func resident() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "resident memory is not known here"
	}
	var rss strings.Builder
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "VmHWM:") {
			rss.WriteString(strings.Join(strings.Fields(line), " ") + " ")
		}
	}
	return rss.String()
}
