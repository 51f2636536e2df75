package storage

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// lockHolder says to this binary that it is a process that takes a lock, and in which folder.
const lockHolder = "M2M_LOCK_HOLDER"

// patience is less than what it takes for a lock to become stale, and enough for a busy machine.
const patience = 5 * time.Second

func TestHoldALock(t *testing.T) {
	folder := os.Getenv(lockHolder)
	if folder == "" {
		t.Skip("this is what other tests run")
	}
	if err := openBounded(&certmagic.FileStorage{Path: folder}).Lock(context.Background(), "k"); err != nil {
		fmt.Println("failed:", err)
		return
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or the test ends
}

// startHolder runs a process that has a lock.
func startHolder(t *testing.T, folder string, attributes *syscall.SysProcAttr) *exec.Cmd {
	t.Helper()
	holder := exec.Command(os.Args[0], "-test.run", "^TestHoldALock$")
	holder.Env, holder.SysProcAttr, holder.Stderr = append(os.Environ(), lockHolder+"="+folder), attributes, os.Stderr
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Skipf("the system starts no such process: %v", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = holder.Process.Kill()
		_ = holder.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	return holder
}

// lockWithin takes the lock and gives it back, and reports how long it took.
func lockWithin(t *testing.T, folder string, limit time.Duration) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	began := time.Now()
	bounded := openBounded(&certmagic.FileStorage{Path: folder})
	if err := bounded.Lock(ctx, "k"); err != nil {
		return time.Since(began), err
	}
	return time.Since(began), bounded.Unlock(t.Context(), "k")
}

// TestLockOfAKilledProcess: the lock is taken soon, by a process that comes later and by one that waits already, also
// when the parent has not reaped the process, and from another container.
func TestLockOfAKilledProcess(t *testing.T) {
	for name, attributes := range map[string]*syscall.SysProcAttr{
		"beside":              nil,
		"in a pid namespace":  {Cloneflags: syscall.CLONE_NEWPID},
		"in a user namespace": {Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			for range 2 { // also after it was taken that way once
				holder := startHolder(t, folder, attributes)
				_ = holder.Process.Kill()
				if took, err := lockWithin(t, folder, patience); err != nil {
					t.Errorf("after %s: %v", took, err)
				}
			}
			holder := startHolder(t, folder, attributes)
			kill := time.AfterFunc(1500*time.Millisecond, func() { _ = holder.Process.Kill() })
			defer kill.Stop()
			if took, err := lockWithin(t, folder, 1500*time.Millisecond+patience); err != nil || took < 1500*time.Millisecond {
				t.Errorf("a lock that was waited for, after %s: %v", took, err)
			}
		})
	}
}

// TestLockOfALivingProcess: the lock is not taken, also when its process is in another container or stopped.
func TestLockOfALivingProcess(t *testing.T) {
	for name, attributes := range map[string]*syscall.SysProcAttr{
		"beside":             nil,
		"in a pid namespace": {Cloneflags: syscall.CLONE_NEWPID},
		"stopped":            nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			holder := startHolder(t, folder, attributes)
			if name == "stopped" {
				_ = holder.Process.Signal(syscall.SIGSTOP)
			}
			before := stampOf(t, folder)
			if took, err := lockWithin(t, folder, 4*time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %s locking says %v", took, err)
			}
			if after := stampOf(t, folder); !after.Equal(before) {
				t.Errorf("the lock is of %s, and was of %s", after, before)
			}
		})
	}
}

func lockPath(folder string) string {
	return (&certmagic.FileStorage{Path: folder}).Filename(lockKey("k"))
}

func stampOf(t *testing.T, folder string) time.Time {
	t.Helper()
	var stamps lockTimes
	text, err := os.ReadFile(lockPath(folder))
	if err == nil {
		err = json.Unmarshal(text, &stamps)
	}
	if err != nil {
		t.Fatal(err)
	}
	return stamps.Created
}

// deadLock makes a lock with a note, as a process that has ended leaves them. It returns the lock's file.
func deadLock(t *testing.T, stamps lockTimes, note func(*lockNote) string) string {
	t.Helper()
	folder := t.TempDir()
	lock := lockPath(folder)
	if err := os.MkdirAll(folder+"/locks", 0o700); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(stamps)
	if err := os.WriteFile(lock, text, 0o600); err != nil {
		t.Fatal(err)
	}
	owner := noteLock(lock, stamps.Created)
	if owner == nil {
		t.Fatal("the lock cannot be noted")
	}
	var made lockNote
	if err := readJSON(owner, &made); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(notePath(lock), []byte(note(&made)), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = owner.Close()
	return lock
}

// TestNotesOfLocks: only the lock of a process that ran on this kernel and has ended is removed.
func TestNotesOfLocks(t *testing.T) {
	now := time.Now()
	as := func(change func(*lockNote)) func(*lockNote) string {
		return func(n *lockNote) string {
			change(n)
			text, _ := json.Marshal(n)
			return string(text)
		}
	}
	text := func(s string) func(*lockNote) string { return func(*lockNote) string { return s } }
	for name, c := range map[string]struct {
		updated time.Time
		note    func(*lockNote) string
		broken  bool
	}{
		"its own":               {now, as(func(*lockNote) {}), true},
		"refreshed later":       {now.Add(3 * time.Second), as(func(*lockNote) {}), true},
		"of another kernel":     {now, as(func(n *lockNote) { n.Kernel = "7c9e6679-7425-40de-944b-e07fc1f90ae7" }), false},
		"of no kernel":          {now, as(func(n *lockNote) { n.Kernel = "" }), false},
		"of another device":     {now, as(func(n *lockNote) { n.Device++ }), false},
		"of the lock before":    {now, as(func(n *lockNote) { n.Created = n.Created.Add(-time.Nanosecond) }), false},
		"of the lock after":     {now, as(func(n *lockNote) { n.Created = n.Created.Add(time.Nanosecond) }), false},
		"without a stamp":       {now, as(func(n *lockNote) { n.Created = time.Time{} }), false},
		"about to become stale": {now.Add(-8 * time.Second), as(func(*lockNote) {}), false},
		"never refreshed":       {time.Time{}, as(func(*lockNote) {}), false},
		"empty":                 {now, text(""), false},
		"garbage":               {now, text("\x00\xff{"), false},
		"an array":              {now, text("[]"), false},
		"null":                  {now, text("null"), false},
		"cut off":               {now, func(n *lockNote) string { return as(func(*lockNote) {})(n)[:40] }, false},
		"two":                   {now, func(n *lockNote) string { s := as(func(*lockNote) {})(n); return s + s }, false},
		"large":                 {now, func(n *lockNote) string { return as(func(*lockNote) {})(n) + strings.Repeat(" ", maxNote) }, false},
	} {
		lock := deadLock(t, lockTimes{now, c.updated}, c.note)
		broken := breakDeadLock(lock)
		if _, err := os.Stat(lock); broken != c.broken || errors.Is(err, fs.ErrNotExist) != c.broken {
			t.Errorf("a note that is %s: broken is %t, and the lock %v", name, broken, err)
		}
	}
}

// TestLocksThatCannotBeRead are left alone, and so is one without a note.
func TestLocksThatCannotBeRead(t *testing.T) {
	now := time.Now()
	same := func(n *lockNote) string { text, _ := json.Marshal(n); return string(text) }
	for _, content := range []string{"", "{", "[]", `{"created":"x"}`, `{"created":1}`} {
		lock := deadLock(t, lockTimes{now, now}, same)
		if err := os.WriteFile(lock, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if breakDeadLock(lock) {
			t.Errorf("a lock that says %q is broken", content)
		}
	}
	lock := deadLock(t, lockTimes{now, now}, same)
	if err := os.Remove(notePath(lock)); err != nil {
		t.Fatal(err)
	}
	if breakDeadLock(lock) {
		t.Error("a lock without a note is broken")
	}
	if _, err := os.Stat(notePath(lock)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("who looks makes a note: %v", err)
	}
}

// TestDeadLockIsBrokenOnce, also when many look at once.
func TestDeadLockIsBrokenOnce(t *testing.T) {
	for range 50 {
		now := time.Now()
		lock := deadLock(t, lockTimes{now, now}, func(n *lockNote) string { text, _ := json.Marshal(n); return string(text) })
		var broken atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if breakDeadLock(lock) {
					broken.Add(1)
				}
			})
		}
		all.Wait()
		if n := broken.Load(); n != 1 {
			t.Fatalf("it is broken %d times", n)
		}
	}
}

// TestLocksOfThisProcess: two configs share them, as around a reload, and neither breaks a lock of the other. A lock that
// this process could not give back is not broken either.
func TestLocksOfThisProcess(t *testing.T) {
	files := newUnlockingFiles(t)
	first := openBounded(files)
	mustLock(t, first)
	if _, err := lockWithin(t, files.Path, 2500*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the other config's lock: %v", err)
	}
	files.fail.Store(true)
	if err := first.Unlock(t.Context(), "k"); !errors.Is(err, errDown) {
		t.Errorf("unlocking says %v", err)
	}
	if breakDeadLock(lockPath(files.Path)) {
		t.Error("a lock that this process keeps is broken")
	}
	files.fail.Store(false)
	soon(t, "the lock is given back", func() bool {
		_, err := os.Stat(lockPath(files.Path))
		return errors.Is(err, fs.ErrNotExist)
	})
	for n := range 3 {
		if took, err := lockWithin(t, files.Path, patience); err != nil {
			t.Errorf("lock %d, after %s: %v", n, took, err)
		}
	}
	note, err := os.OpenFile(notePath(lockPath(files.Path)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer note.Close()
	soon(t, "no process has the note of a released lock", func() bool { return flock(note) })
}
