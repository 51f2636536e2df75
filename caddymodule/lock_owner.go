package caddymodule

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// Caddy's file storage takes a lock for stale ten seconds after it was last refreshed, so that long the first change
// after a crash would wait. A process therefore notes beside each lock of files that it has it, and holds an flock(2) on
// the note for as long. The kernel lets go of that when the process ends, however it ends, in whatever container it was;
// so one that gets the flock knows that the lock's process is gone, and may remove the lock.
//
// A note counts only for processes of the same kernel and file system: elsewhere an flock may not be seen. It counts for
// one lock, which is known by its time to the nanosecond. Where any of that is not known, the lock becomes stale as
// before.

const (
	// lockLook is how often one that waits looks whether the process that has the lock lives, as often as the
	// file storage looks whether it is free.
	lockLook = time.Second
	// lockOld is the age from which a lock is left to become stale, which it does after ten seconds: one that finds
	// it stale removes it, and must not be overtaken by one that has judged the same lock to be of a dead process.
	lockOld = 7 * time.Second
	// A lock that was just given back, or looked at, may have its note in use for a moment.
	noteTries = 20
	noteWait  = 5 * time.Millisecond
	// maxNote bounds what is read of a note.
	maxNote = 4 << 10
)

// lockNote says whose a lock is.
type lockNote struct {
	Created time.Time `json:"created"` // of the lock
	Kernel  string    `json:"kernel"`  // the boot ID of the system that the process runs on
	Device  uint64    `json:"device"`  // the file system, as that kernel calls it
}

// lockStamps are what a lock's file says.
type lockStamps struct {
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// noteOf is where the note of a lock's file is.
func noteOf(lock string) string { return strings.TrimSuffix(lock, ".lock") + ".owner" }

// noteLock notes that this process has a lock. It returns the note, which must be closed when the lock has been given
// back; nil if the lock cannot be noted.
func noteLock(lock string, created time.Time) *os.File {
	if created.IsZero() || bootID() == "" {
		return nil
	}
	note, err := os.OpenFile(noteOf(lock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil
	}
	if !awaitFlock(note) || writeNote(note, created) != nil {
		_ = note.Close()
		return nil
	}
	return note
}

func awaitFlock(note *os.File) bool {
	for range noteTries {
		if flock(note) {
			return true
		}
		time.Sleep(noteWait)
	}
	return false
}

func writeNote(note *os.File, created time.Time) error {
	device, err := deviceOf(note)
	if err != nil {
		return err
	}
	text, err := json.Marshal(lockNote{created, bootID(), device})
	if err != nil {
		return err
	}
	if err := note.Truncate(0); err != nil {
		return err
	}
	_, err = note.WriteAt(text, 0)
	return err
}

// breakDeadLock removes a lock's file if the process that had the lock has ended, and reports whether it has.
// The flock keeps others on this host from judging the lock at the same time.
func breakDeadLock(lock string) bool {
	if _, err := os.Lstat(lock); err != nil {
		return false // it is free
	}
	note, err := os.OpenFile(noteOf(lock), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer note.Close()
	return flock(note) && isOfLock(note, lock) && os.Remove(lock) == nil
}

// isOfLock reports whether a note is of this very lock, was made under this kernel, and the lock is not about to become
// stale.
func isOfLock(note *os.File, lock string) bool {
	var made lockNote
	var held lockStamps
	if readJSON(note, &made) != nil {
		return false
	}
	file, err := os.Open(lock)
	if err != nil {
		return false
	}
	defer file.Close()
	if readJSON(file, &held) != nil {
		return false
	}
	device, err := deviceOf(note)
	return err == nil && made.Kernel != "" && made.Kernel == bootID() && made.Device == device &&
		!held.Created.IsZero() && made.Created.Equal(held.Created) && time.Since(held.Updated) < lockOld
}

func readJSON(file *os.File, into any) error {
	text, err := io.ReadAll(io.LimitReader(file, maxNote+1))
	if err != nil {
		return err
	}
	if len(text) > maxNote {
		return errors.New("too large")
	}
	return json.Unmarshal(text, into)
}

// bootID names the kernel that runs, since it was started; "" where that is not known. It is the same in all containers.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
