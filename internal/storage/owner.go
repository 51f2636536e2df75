package storage

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// Caddy's file storage considers a lock stale ten seconds after its last refresh, so the first change after a crash
// would wait that long. A process therefore writes a note beside each file lock that it takes, and holds an flock(2) on
// the note until it releases the lock. The kernel releases the flock when the process ends, for any reason and in any
// container. A process that gets the flock knows that the owner has ended, and may remove the lock.
//
// A note counts only for processes of the same kernel and file system, because an flock may not be seen elsewhere. It
// counts for one lock, which it names by the time of its creation, to the nanosecond. Where any of this is not known,
// the lock becomes stale as before.

const (
	// ownerInterval is the time between two checks of a waiter whether the owner of the lock has ended. The file
	// storage checks as often whether the lock is free.
	ownerInterval = time.Second
	// maxBreakAge is the age from which a lock is left to become stale, at ten seconds. A waiter that finds it stale
	// replaces it, and one that has found its owner dead must not then remove the new lock.
	maxBreakAge = 7 * time.Second
	// The note of a lock that was just released or checked may be in use for a moment.
	noteTries = 20
	noteWait  = 5 * time.Millisecond
	// maxNote bounds what is read of a note.
	maxNote = 4 << 10
)

// lockNote names a lock and the system that its owner runs on.
type lockNote struct {
	Created time.Time `json:"created"` // of the lock
	Kernel  string    `json:"kernel"`  // the boot ID of the system
	Device  uint64    `json:"device"`  // the file system, as that kernel calls it
}

// lockTimes are the times in a lock's file, in certmagic's private format. TestLockOfAKilledProcess fails without them.
type lockTimes struct {
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// notePath returns the path of the note for a lock's file.
func notePath(lock string) string { return strings.TrimSuffix(lock, ".lock") + ".owner" }

// noteLock writes the note of a lock that this process has taken, and returns it open. Closing it says that the lock was
// released. noteLock returns nil if it cannot write the note.
func noteLock(lock string, created time.Time) *os.File {
	if created.IsZero() || bootID() == "" {
		return nil
	}
	note, err := os.OpenFile(notePath(lock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil
	}
	if !awaitFlock(note) || writeNote(note, created) != nil {
		_ = note.Close()
		return nil
	}
	return note
}

// awaitFlock reports whether it gets the flock on a note within a short time.
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

// breakDeadLock removes a lock's file if its owner has ended, and reports whether it removed it.
// The flock keeps others on this host from judging the lock at the same time.
func breakDeadLock(lock string) bool {
	if _, err := os.Lstat(lock); err != nil {
		return false // it is free
	}
	note, err := os.OpenFile(notePath(lock), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer note.Close()
	return flock(note) && matches(note, lock) && os.Remove(lock) == nil
}

// matches reports whether a note names this lock and this kernel, and the lock is not about to become stale.
func matches(note *os.File, lock string) bool {
	var made lockNote
	var held lockTimes
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
		!held.Created.IsZero() && made.Created.Equal(held.Created) && time.Since(held.Updated) < maxBreakAge
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

// bootID returns the ID of the running kernel since its start, which is the same in all containers. It returns "" where
// that is not known.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
