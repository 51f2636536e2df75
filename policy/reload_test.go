package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func ttlFile(seconds int) string {
	return fmt.Sprintf("package m2m.token\n\nttl contains %d\n", seconds)
}

// stamp sets a file's time of modification.
func stamp(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func reload(t *testing.T, e *Engine, want bool) {
	t.Helper()
	if changed, err := e.Reload(); changed != want || err != nil {
		t.Fatalf("changed %v, %v; want %v", changed, err, want)
	}
}

func wantTTL(t *testing.T, e *Engine, seconds int) {
	t.Helper()
	if d := decide(t, e, request(t, "book:1:read")); d.TTL != time.Duration(seconds)*time.Second {
		t.Errorf("ttl %v, want %ds", d.TTL, seconds)
	}
}

func TestReload(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": ttlFile(60)})
	file := filepath.Join(dir, "a.rego")
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	first := e.Revision()
	reload(t, e, false)

	put(t, file, ttlFile(61))
	reload(t, e, true)
	reload(t, e, false)
	wantTTL(t, e, 61)
	if e.Revision() == first {
		t.Error("the revision stays")
	}

	put(t, file, "package m2m.token\n\nttl contains\n")
	_, err := e.Reload()
	wantParts(t, err, file)
	reload(t, e, false)
	wantTTL(t, e, 61)

	put(t, file, "package m2m.token\n\nttl contains x\n")
	_, err = e.Reload()
	wantParts(t, err, file+":3")

	put(t, file, ttlFile(61))
	reload(t, e, false)
	put(t, file, "package m2m.token\n\nttl contains x\n")
	_, err = e.Reload()
	wantParts(t, err, file+":3")

	put(t, file, ttlFile(60))
	reload(t, e, true)
	if e.Revision() != first {
		t.Error("the same files have another revision")
	}
}

func TestReloadWhenFilesComeAndGo(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": ttlFile(60)})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	put(t, filepath.Join(dir, "sub", "b.rego"), ttlFile(30))
	reload(t, e, true)
	wantTTL(t, e, 30)
	put(t, filepath.Join(dir, "sub", "b_test.rego"), "package b\n")
	reload(t, e, false)
	for range 2 {
		moved := dir + ".away"
		if err := os.Rename(dir, moved); err != nil {
			t.Fatal(err)
		}
		_, err := e.Reload()
		wantParts(t, err, dir)
		reload(t, e, false)
		wantTTL(t, e, 30)
		if err := os.Rename(moved, dir); err != nil {
			t.Fatal(err)
		}
		reload(t, e, false)
	}
	if err := os.RemoveAll(filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	reload(t, e, true)
	wantTTL(t, e, 60)
}

func TestReloadWithoutFiles(t *testing.T) {
	e := load(t, Config{})
	reload(t, e, false)
}

// TestReloadSeesAnEditOfTheSameSizeAndTime has time stamps too coarse to tell two edits apart.
func TestReloadSeesAnEditOfTheSameSizeAndTime(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": ttlFile(60)})
	file := filepath.Join(dir, "a.rego")
	at := time.Now().Truncate(time.Second)
	edit := func(seconds int) {
		put(t, file, ttlFile(seconds))
		stamp(t, file, at)
	}
	edit(60)
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	edit(61)
	reload(t, e, true)
	wantTTL(t, e, 61)
}

// TestReloadReadsNothingWhileNothingChanges replaces the content behind an unchanged, old time
// stamp: a cheap poll does not see that, and the thorough one now and then does.
func TestReloadReadsNothingWhileNothingChanges(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": ttlFile(60)})
	file := filepath.Join(dir, "a.rego")
	at := time.Now().Add(-time.Hour)
	edit := func(seconds int) {
		put(t, file, ttlFile(seconds))
		stamp(t, file, at)
	}
	edit(60)
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	edit(61)
	reload(t, e, false)
	e.files.Now = func() time.Time { return time.Now().Add(time.Minute) }
	reload(t, e, true)
	wantTTL(t, e, 61)
}

// TestReloadSeesSwappedLinks has a ConfigMap's update, also when the new files look the same.
func TestReloadSeesSwappedLinks(t *testing.T) {
	dir := write(t, map[string]string{"..1/a.rego": ttlFile(60), "..2/a.rego": ttlFile(61)})
	old := time.Now().Add(-time.Hour)
	for _, version := range []string{"..1", "..2"} {
		stamp(t, filepath.Join(dir, version, "a.rego"), old)
	}
	link(t, "..1", filepath.Join(dir, "..data"))
	link(t, "..data/a.rego", filepath.Join(dir, "a.rego"))
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	reload(t, e, false)
	swap(t, dir, "..2")
	reload(t, e, true)
	wantTTL(t, e, 61)
}

// swap points ..data to another folder, at once.
func swap(t *testing.T, dir, target string) {
	t.Helper()
	link(t, target, filepath.Join(dir, "..tmp"))
	if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

// TestEveryDecisionIsByOneSnapshot reloads under load. Rules and data name their version, and a
// decision may mix neither them nor the revision.
func TestEveryDecisionIsByOneSnapshot(t *testing.T) {
	const versions = 6
	files := make(map[string]string)
	for v := range versions {
		folder := fmt.Sprintf("..%d/", v)
		files[folder+"a.rego"] = fmt.Sprintf("package m2m.token\n\nclaims.rego := %d\n\nclaims.data := data.version\n", v)
		files[folder+"b.rego"] = fmt.Sprintf("package m2m.token\n\nttl contains %d\n", v+1)
		files[folder+"d.json"] = fmt.Sprintf(`{"version": %d}`, v)
	}
	dir := write(t, files)
	link(t, "..0", filepath.Join(dir, "..data"))
	for _, name := range []string{"a.rego", "b.rego", "d.json"} {
		link(t, "..data/"+name, filepath.Join(dir, name))
	}
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	var stop sync.WaitGroup
	done := make(chan struct{})
	var seen sync.Map
	for range 4 {
		stop.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				checkSnapshot(t, e, &seen)
			}
		})
	}
	for v := range versions {
		swap(t, dir, fmt.Sprintf("..%d", v))
		if _, err := e.Reload(); err != nil {
			t.Error(err)
		}
		checkSnapshot(t, e, &seen)
	}
	close(done)
	stop.Wait()
	count := 0
	seen.Range(func(any, any) bool { count++; return true })
	if count != versions {
		t.Errorf("%d snapshots decided, want %d", count, versions)
	}
}

func checkSnapshot(t *testing.T, e *Engine, seen *sync.Map) {
	d, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
	if err != nil {
		t.Error(err)
		return
	}
	version := fmt.Sprint(d.Claims["rego"])
	if data, ttl := fmt.Sprint(d.Claims["data"]), fmt.Sprint(int(d.TTL.Seconds())-1); data != version || ttl != version {
		t.Errorf("rules of version %s with data of %s and lifetime of %s", version, data, ttl)
	}
	if before, taken := seen.LoadOrStore(d.Revision, version); taken && before != version {
		t.Errorf("revision %s is version %s and %s", d.Revision, before, version)
	}
}
