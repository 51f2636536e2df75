package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// memoryRow is what a server holds after its garbage was collected.
type memoryRow struct {
	What       string `json:"what"`
	Heap       uint64 `json:"heap"`
	RSS        uint64 `json:"rss"`
	Goroutines int    `json:"goroutines"`
}

// What may be added between the warm-up and the end, when caches are full.
const (
	addedHeap       = 8 << 20
	addedRSS        = 48 << 20        // the allocator keeps some of what is free
	addedGoroutines = 2 * soakWorkers // those of connections to the upstream, of which more or fewer are idle
)

// memory is what the server holds once it has freed what it does not need: connections of former configs end some time after a reload.
func (s *server) memory(what string) (row memoryRow, err error) {
	for range 10 {
		u, err := s.usage(true)
		if err != nil {
			return row, err
		}
		if row.What == "" || u.Heap < row.Heap {
			rss, _ := s.resident()
			row = memoryRow{what, u.Heap, rss, u.Goroutines}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return row, nil
}

// soak checks that neither requests nor reloads of the config leave anything behind.
func soak(f *fixture, o options) error {
	r := newReport(f, o)
	problems := errors.Join(
		r.soakServer(f, o, "requests", soakClients, r.soakRequests),
		r.soakServer(f, o, "reloads", demoClients, r.soakReloads))
	return errors.Join(r.print(os.Stdout, o.format), problems)
}

// soakServer runs a part of the soak on a server of its own.
func (r *report) soakServer(f *fixture, o options, name string, clients int, part func(*server, options) error) error {
	registry, err := f.writeRegistry(name+".yaml", clients)
	if err != nil {
		return err
	}
	s := new(server)
	defer s.stop()
	if err := s.start(f, name, serverOptions{Limits: true, Patient: true, Registry: registry, TokenCache: "1MiB"}); err != nil {
		return err
	}
	return errors.Join(part(s, o), s.profileMemory(o.profile, name))
}

// soakRequests sends requests of all kinds.
func (r *report) soakRequests(s *server, o options) error {
	const parts = 5
	var rows []memoryRow
	for part := range parts + 1 {
		n, what := o.requests/parts, fmt.Sprintf("%d requests later", part*o.requests/parts)
		if part == 0 {
			n, what = o.requests/2, fmt.Sprintf("after %d requests", o.requests/2)
		}
		statuses, err := s.mixedRequests(n)
		if err != nil {
			return err
		}
		progress(fmt.Sprintf("soak: %s; answers: %s", what, share(statuses)))
		row, err := s.memory(what)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	r.Memory = append(r.Memory, rows...)
	return flat(rows)
}

// soakReloads reloads two configs in turn.
func (r *report) soakReloads(s *server, o options) error {
	const warmUp = 20
	var rows []memoryRow
	for i := range o.reloads + warmUp {
		if i == warmUp {
			row, err := s.memory(fmt.Sprintf("after %d reloads", warmUp))
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		if err := s.reload(i%2 == 0); err != nil {
			return fmt.Errorf("reloading: %w", err)
		}
	}
	row, err := s.memory(fmt.Sprintf("%d reloads later", o.reloads))
	if err != nil {
		return err
	}
	rows = append(rows, row)
	r.Memory = append(r.Memory, rows...)
	return flat(rows)
}

// reload loads another config, which has to mint a token and to take it.
func (s *server) reload(variant bool) error {
	changed := s.options
	changed.Variant = variant
	config, err := s.config(changed)
	if err != nil {
		return err
	}
	response, err := http.Post("http://"+s.site("admin")+"/load", "text/caddyfile", strings.NewReader(string(config)))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	// The former config may still take a connection, and close it.
	for range 100 {
		if err = s.mintAndUse(); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func (s *server) mintAndUse() error {
	requests, err := s.freshlyMinted().make(1)
	if err != nil {
		return err
	}
	c := &conn{address: s.site("door")}
	defer c.hangUp()
	if status, err := c.do(requests[0]); err != nil || status != http.StatusOK {
		return fmt.Errorf("the door answers %d: %w", status, err)
	}
	return nil
}

// profileMemory writes what the server holds in the end.
func (s *server) profileMemory(folder, name string) error {
	if folder == "" {
		return nil
	}
	for _, kind := range []string{"heap", "goroutine"} {
		content, err := get("http://" + s.site("admin") + "/debug/pprof/" + kind)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name+"."+kind), content, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// flat reports what has grown from the first row to the last.
func flat(rows []memoryRow) error {
	first, last := rows[0], rows[len(rows)-1]
	var problems []error
	if last.Heap > first.Heap+addedHeap {
		problems = append(problems, fmt.Errorf("the heap grew from %s to %s, %s", megabytes(first.Heap), megabytes(last.Heap), last.What))
	}
	if last.RSS > first.RSS+addedRSS {
		problems = append(problems, fmt.Errorf("RSS grew from %s to %s, %s", megabytes(first.RSS), megabytes(last.RSS), last.What))
	}
	if last.Goroutines > first.Goroutines+addedGoroutines {
		problems = append(problems, fmt.Errorf("goroutines grew from %d to %d, %s", first.Goroutines, last.Goroutines, last.What))
	}
	return errors.Join(problems...)
}

func (r *report) memoryTable() table {
	t := table{title: "Memory after a garbage collection", head: []string{"when", "heap", "RSS", "goroutines"}}
	for _, row := range r.Memory {
		t.rows = append(t.rows, []string{row.What, fmt.Sprintf("%.1f MiB", float64(row.Heap)/(1<<20)), megabytes(row.RSS), fmt.Sprint(row.Goroutines)})
	}
	return t
}
