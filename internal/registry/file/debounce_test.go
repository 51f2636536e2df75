package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	allowed = "resources: {book: {actions: {read: ''}}}\nclients:\n  c:\n    grants:\n" +
		"      - {resource: book, identifiers: ['*'], actions: [read]}\n"
	denied = "      - {resource: book, identifiers: ['secret-*'], actions: ['*'], effect: deny}\n"
)

func grantsOf(t testing.TB, f *File, id string) int {
	t.Helper()
	c, err := f.Client(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return len(c.Grants)
}

// Half a file may be valid and lack the grants that deny.
func TestReloadLeavesAHalfWrittenFile(t *testing.T) {
	f, path := openFile(t, allowed+denied)
	revision := f.Revision()
	for _, half := range []string{"", allowed, allowed + "# more"} {
		write(t, path, half)
		look(t, f, false)
		later(f, settleTime)
	}
	if f.Revision() != revision || grantsOf(t, f, "c") != 2 || !f.Healthy() {
		t.Error("half a file is taken")
	}
	write(t, path, allowed+"# more\n"+denied)
	reload(t, f, true)
	if grantsOf(t, f, "c") != 2 {
		t.Error("the whole file is not taken")
	}
}

// Looks that follow each other at once, after a slow one, prove nothing.
func TestLooksInABunchTakeNothing(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	write(t, path, "clients: {two: {}}")
	now := time.Now()
	f.now = func() time.Time { return now }
	for range 10 {
		look(t, f, false)
	}
	now = now.Add(settleTime)
	look(t, f, true)
}

// Half a file that is broken is not reported.
func TestBrokenHalfIsNotReported(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	write(t, path, "clients: {two:")
	look(t, f, false)
	if !f.Healthy() {
		t.Error("a half-written file is reported as a broken one")
	}
	write(t, path, "clients: {two: {}}")
	later(f, settleTime)
	reload(t, f, true)
}

// A look saw other content between two looks that saw the same.
func TestContentMustStandInARow(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	for _, content := range []string{"clients: {two: {}}", "clients: {one: {}}", "clients: {two: {}}"} {
		write(t, path, content)
		look(t, f, false)
		later(f, settleTime)
	}
	look(t, f, true)
	hasClient(t, f, "two", true)
}

// The clock of a file server may differ from this machine's.
func TestFutureModTimesAreTaken(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	write(t, path, "clients: {two: {}}")
	setModTime(t, path, time.Now().Add(time.Hour))
	reload(t, f, true)
	f.now = time.Now().Add(-time.Hour).Local
	write(t, path, "clients: {three: {}}")
	reload(t, f, true)
}

// A file that never stops changing is reported, because a client may have been removed from it.
func TestRestlessFileIsReportedOnce(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	reported := 0
	for n := range 2 * restlessTime / settleTime {
		write(t, path, "clients: {two: {}}"+strings.Repeat(" ", int(n)+1))
		setModTime(t, path, f.now())
		changed, err := f.Reload()
		if changed {
			t.Fatal("it is taken")
		}
		if err != nil {
			reported++
		}
		later(f, settleTime)
	}
	if reported != 1 || f.Healthy() {
		t.Errorf("reported %d times, healthy: %v", reported, f.Healthy())
	}
	look(t, f, true)
	if !f.Healthy() {
		t.Error("not healthy once it is still")
	}
}

// A file that was missing is healthy only after its content is current.
func TestHealthyOnlyWhenInForce(t *testing.T) {
	f, path := openFile(t, "clients: {one: {}}")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Reload(); err == nil {
		t.Fatal("the file is not missed")
	}
	write(t, path, "clients: {two: {}}")
	look(t, f, false)
	if f.Healthy() {
		t.Error("healthy with content that is not in force")
	}
	later(f, settleTime)
	look(t, f, true)
	if !f.Healthy() {
		t.Error("not healthy with what the file holds")
	}
}

// A file that is replaced while it is read may be read half before and half after.
func TestChangeWhileReadingIsSeen(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	for how, change := range map[string]func(t testing.TB, path string){
		"renamed over":    func(t testing.TB, path string) { replace(t, path, "clients: {two: {}}"); setModTime(t, path, old) },
		"grown":           func(t testing.TB, path string) { write(t, path, "clients: {two: {}} "); setModTime(t, path, old) },
		"of another time": func(t testing.TB, path string) { setModTime(t, path, old.Add(time.Second)) },
		"removed": func(t testing.TB, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "registry.yaml")
			write(t, path, "clients: {one: {}}")
			setModTime(t, path, old)
			during := func() time.Time { change(t, path); return time.Now() }
			_, seen, err := readStamped(path, during)
			if err != nil || seen.still || seen.holds(seen.info) {
				t.Errorf("%+v, %v", seen, err)
			}
			if _, seen, err = readStamped(path, time.Now); how != "removed" && (err != nil || !seen.still) {
				t.Errorf("afterwards: %+v, %v", seen, err)
			}
		})
	}
}

// Open, too, waits for the rest of a file that is being written.
func TestOpenWaitsForTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.yaml")
	write(t, path, allowed)
	now, waited := time.Now(), 0
	f, err := open(path, func() time.Time { return now }, func(d time.Duration) {
		if waited++; waited == 1 {
			write(t, path, allowed+denied)
		}
		now = now.Add(d)
	})
	if err != nil || grantsOf(t, f, "c") != 2 || waited != 2 {
		t.Errorf("waited %d times: %v, %v", waited, f, err)
	}
}

func TestOpenDoesNotWaitForAnOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.yaml")
	write(t, path, "clients: {one: {}}")
	setModTime(t, path, time.Now().Add(-time.Hour))
	if _, err := open(path, time.Now, func(time.Duration) { t.Error("waits") }); err != nil {
		t.Error(err)
	}
}

func TestOpenDoesNotWaitForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.yaml")
	write(t, path, "")
	now := time.Now()
	f, err := open(path, func() time.Time { return now }, func(d time.Duration) {
		now = now.Add(d)
		write(t, path, now.Format("# "+time.RFC3339Nano))
		setModTime(t, path, now)
	})
	if f != nil || err == nil || !strings.Contains(err.Error(), path+": keeps changing") {
		t.Errorf("%v, %v", f, err)
	}
}
