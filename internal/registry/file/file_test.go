package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace writes another file and renames it over the first, as a careful editor does.
func replace(t testing.TB, path, content string) {
	t.Helper()
	write(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func setModTime(t testing.TB, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func openFile(t testing.TB, content string) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.yaml")
	write(t, path, content)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f, path
}

// look expects one Reload to return changed and no error.
func look(t testing.TB, f *File, changed bool) {
	t.Helper()
	if got, err := f.Reload(); got != changed || err != nil {
		t.Fatalf("Reload = %v, %v; want %v", got, err, changed)
	}
}

// later sets the clock forward until undo is called.
func later(f *File, by time.Duration) (undo func()) {
	now := f.now
	f.now = func() time.Time { return now().Add(by) }
	return func() { f.now = now }
}

// reload looks twice, because the first look never takes new content. It expects the second to return changed.
func reload(t testing.TB, f *File, changed bool) {
	t.Helper()
	look(t, f, false)
	defer later(f, settleTime)()
	look(t, f, changed)
}

// reloadFails looks twice, and expects the second look to fail.
func reloadFails(t testing.TB, f *File, with string) {
	t.Helper()
	look(t, f, false)
	defer later(f, settleTime)()
	changed, err := f.Reload()
	if changed || err == nil || !strings.Contains(err.Error(), with) {
		t.Fatalf("Reload = %v, %v; want an error with %q", changed, err, with)
	}
}

func hasClient(t testing.TB, f *File, id string, want bool) {
	t.Helper()
	_, err := f.Client(t.Context(), id)
	if (err == nil) != want || err != nil && !errors.Is(err, registry.ErrNotFound) {
		t.Fatalf("client %s: %v", id, err)
	}
}

// TestFileIsARegistry calls the methods that delegate to the current content.
func TestFileIsARegistry(t *testing.T) {
	secret := registry.NewSecret()
	f, _ := openFile(t, "clients: {c: {secrets: [{id: s1, sha256: "+registry.HashSecret(secret)+"}]}}")
	c, id, err := f.Authenticate(t.Context(), "c", secret, time.Now())
	if err != nil || c.ID != "c" || id != "s1" {
		t.Errorf("authentication: %v, %q, %v", c, id, err)
	}
	if age := f.Age(); age < 0 || age > time.Minute {
		t.Errorf("it was read %v ago", age)
	}
	changes, err := f.Plan(t.Context(), "new.yaml", []byte("clients: {d: {}}"), true)
	if err != nil || len(changes) != 2 {
		t.Errorf("the plan of another file: %v, %v", changes, err)
	}
}

func TestReloadSeesEdits(t *testing.T) {
	for how, edit := range map[string]func(t testing.TB, path, content string){"in place": write, "renamed over": replace} {
		t.Run(how, func(t *testing.T) {
			f, path := openFile(t, "clients: {one: {}}")
			before := f.Revision()
			reload(t, f, false)
			edit(t, path, "clients: {two: {}}")
			reload(t, f, true)
			hasClient(t, f, "one", false)
			hasClient(t, f, "two", true)
			if f.Revision() == before {
				t.Error("the revision stays")
			}
			edit(t, path, "clients: {two: {}}")
			reload(t, f, false)
		})
	}
}

func TestReloadSeesEditWithinTheSameTick(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "clients: {two: {}}")
	setModTime(t, path, info.ModTime())
	reload(t, f, true)
	hasClient(t, f, "two", true)
}

// A file that has not changed for a while is not read: an edit that keeps the size and the old time is not seen.
func TestReloadIsCheapWhenNothingChanged(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	old := time.Now().Add(-time.Hour)
	setModTime(t, path, old)
	reload(t, f, false)
	write(t, path, "clients: {two: {}}")
	setModTime(t, path, old)
	reload(t, f, false)
	setModTime(t, path, old.Add(time.Second))
	look(t, f, true)
}

// The first reading that is late enough ends the window.
func TestRacyWindowEnds(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.seen.holds(info) {
		t.Error("a file that was just written is trusted")
	}
	f.now = func() time.Time { return info.ModTime().Add(racyWindow + 1) }
	reload(t, f, false)
	if !f.seen.holds(info) {
		t.Error("a file that was read late enough is not trusted")
	}
}

func TestBrokenEditKeepsTheLastGood(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	revision := f.Revision()
	write(t, path, "clients: {two: {nope: 1}}")
	reloadFails(t, f, path+":1:17: unknown field")
	reload(t, f, false)
	replace(t, path, "clients: {two: {nope: 1}}") // the same content in another file
	reload(t, f, false)
	write(t, path, "clients: {three: {nope: 1}}")
	reloadFails(t, f, path+":1:19: unknown field")
	hasClient(t, f, "one", true)
	if f.Revision() != revision {
		t.Error("the revision is that of a broken file")
	}
	write(t, path, "clients: {one: {}}")
	reload(t, f, false)
	write(t, path, "clients: {three: {nope: 1}}")
	reloadFails(t, f, "unknown field") // broken again
	write(t, path, "clients: {three: {}}")
	reload(t, f, true)
	hasClient(t, f, "three", true)
}

func TestMissingFileKeepsTheLastGood(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	for range 2 { // reported again when it is missing again
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Reload(); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("Reload = %v", err)
		}
		reload(t, f, false)
		hasClient(t, f, "one", true)
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		reload(t, f, false)
	}
}

// In a ConfigMap volume, registry.yaml links to ..data/registry.yaml and ..data to ..<time>. An update renames another ..data
// over the first.
func TestReloadSeesConfigMapUpdates(t *testing.T) {
	dir := t.TempDir()
	publish := func(version, content string) {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, version, "registry.yaml")
		write(t, path, content)
		setModTime(t, path, time.Unix(1e9, 0)) // all have the same time and size
		if err := os.Symlink(version, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..1", "clients: {one: {}}")
	path := filepath.Join(dir, "registry.yaml")
	if err := os.Symlink("..data/registry.yaml", path); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	reload(t, f, false)
	publish("..2", "clients: {two: {}}")
	look(t, f, true) // no one is still writing an old file
	hasClient(t, f, "two", true)
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	large, broken := filepath.Join(dir, "large.json"), filepath.Join(dir, "broken.yaml")
	write(t, large, "")
	if err := os.Truncate(large, registry.MaxFileSize+1); err != nil {
		t.Fatal(err)
	}
	write(t, broken, "clients: 1")
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		dir:                        dir + ": not a regular file",
		large:                      large + ": larger than 256 MiB",
		broken:                     broken + ":1:10: clients must be a mapping",
	} {
		if f, err := Open(path); f != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open = %v, %v; want %s", f, err, want)
		}
	}
}

func TestParseRefusesLargeFiles(t *testing.T) {
	if _, err := registry.Parse("r.json", make([]byte, registry.MaxFileSize+1)); err == nil || err.Error() != "r.json: larger than 256 MiB" {
		t.Errorf("%v", err)
	}
}
