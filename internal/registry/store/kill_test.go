package store_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// raceDetector makes everything many times slower.
var raceDetector bool

// kills is how often a writer is killed.
const kills = 200

// writerFolder is the environment variable that makes this binary the writer. Its value is the folder to write to.
const writerFolder = "REGISTRY_WRITER_FOLDER"

// TestKilledWriter kills a process at random moments while it writes. After that, each record is either the old or the new
// one, and the records that the writer has reported as written are stored.
func TestKilledWriter(t *testing.T) {
	if folder := os.Getenv(writerFolder); folder != "" {
		writeForever(folder)
	}
	t.Parallel()
	folder := t.TempDir()
	times := kills
	if testing.Short() || raceDetector {
		times = 20
	}
	written := make(map[string]int)
	for range times {
		begun, acknowledged := killWriter(t, folder)
		for id, n := range acknowledged {
			written[id] = n
		}
		s := newStore(&certmagic.FileStorage{Path: folder})
		s.SetIndexing(0, 2)
		if err := s.Open(ctx); err != nil {
			t.Fatalf("after the kill: %v", err)
		}
		for id, n := range written {
			got := checkWhole(t, s, id)
			if got != n && got != begun[id] {
				t.Fatalf("%s is %d; %d was acknowledged, %d begun", id, got, n, begun[id])
			}
			written[id] = got
		}
		checkIndexed(t, s)
		// The lock of a dead writer is stale after ten seconds. The test does not wait for that.
		if err := os.RemoveAll(filepath.Join(folder, "locks")); err != nil {
			t.Fatal(err)
		}
	}
	if len(written) == 0 {
		t.Error("no writer has written anything")
	}
}

// checkWhole returns the number that every part of a record holds.
func checkWhole(t *testing.T, s *store.Store, id string) int {
	t.Helper()
	c, err := s.Client(ctx, id)
	if err != nil {
		t.Fatalf("after the kill: %v", err)
	}
	n, err := strconv.Atoi(c.Description)
	if err != nil || len(c.Grants) != 1 || c.Grants[0].Identifiers[0] != c.Description {
		t.Fatalf("the record is torn: %+v", c)
	}
	return n
}

// checkIndexed checks that the index, if there is one, has what is stored.
func checkIndexed(t *testing.T, s *store.Store) {
	t.Helper()
	all, err := s.ClientIDs(ctx, "", "", 0)
	page, pageErr := s.ClientIDs(ctx, "", "", 10)
	if err != nil || pageErr != nil || !slices.Equal(all, page) {
		t.Fatalf("after the kill the index has %q, and stored are %q: %v, %v", page, all, pageErr, err)
	}
	for _, action := range []string{"read", "edit"} {
		before, after := &registry.Resource{Code: "book", Actions: map[string]string{"read": "", "edit": ""}}, &registry.Resource{Code: "book", Actions: map[string]string{}}
		for a := range before.Actions {
			if a != action {
				after.Actions[a] = ""
			}
		}
		changes := []registry.Change{registry.ResourceChange("book", before, nil, after)}
		if indexed, stored := s.CheckUnused(ctx, changes, true), s.CheckUnused(ctx, changes, false); fmt.Sprint(indexed) != fmt.Sprint(stored) {
			t.Fatalf("after the kill a removal says %v, and without the index %v", indexed, stored)
		}
	}
}

// killWriter runs a writer and kills it. It returns what the writer last reported as begun and as written.
func killWriter(t *testing.T, folder string) (begun, acknowledged map[string]int) {
	t.Helper()
	writer := exec.Command(os.Args[0], "-test.run", "^TestKilledWriter$")
	writer.Env = append(os.Environ(), writerFolder+"="+folder)
	writer.Stderr = os.Stderr
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	begun, acknowledged = make(map[string]int), make(map[string]int)
	var timer *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if timer == nil {
			timer = time.AfterFunc(time.Duration(rand.IntN(30_000))*time.Microsecond, func() { _ = writer.Process.Kill() })
		}
		var what, id string
		var n int
		if _, err := fmt.Sscan(lines.Text(), &what, &id, &n); err != nil {
			continue // the last line may be incomplete
		}
		if what == "begin" {
			begun[id] = n
		} else {
			acknowledged[id] = n
		}
	}
	_ = writer.Wait()
	return begun, acknowledged
}

// writeForever changes three clients in turn, and prints a line before and after each change.
func writeForever(folder string) {
	s := newStore(&certmagic.FileStorage{Path: folder})
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "writing:", err)
			os.Exit(1)
		}
	}
	_, err := s.EditResource(ctx, "book", func(*registry.Resource) (*registry.Resource, error) {
		return &registry.Resource{Code: "book", Actions: map[string]string{"read": "", "edit": ""}}, nil
	})
	fail(err)
	s.SetIndexing(0, 2)
	fail(s.BuildIndex(ctx))
	start := int(time.Now().UnixNano() / 1000)
	for n := start; ; n++ {
		id, text := "client-"+strconv.Itoa(n%3), strconv.Itoa(n)
		_, err := os.Stdout.WriteString(strings.Join([]string{"begin", id, text, "\n"}, " "))
		fail(err)
		_, err = s.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) {
			c := &registry.Client{ID: id, Description: text}
			c.Grants = append(c.Grants, grant("book", text, []string{"read", "edit"}[n/3%2]))
			return c, nil
		})
		fail(err)
		_, err = os.Stdout.WriteString(strings.Join([]string{"done", id, text, "\n"}, " "))
		fail(err)
	}
}
