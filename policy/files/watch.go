package files

import (
	"errors"
	"os"
	"slices"
	"time"
)

// Two files of the same size and modification time may differ: time stamps are coarse, and tools copy them. A file that
// was modified shortly before it was read is therefore read again, and all files are read again after a while.
const (
	racyAge     = 2 * time.Second
	rereadAfter = time.Minute
)

// Watch reads files again when they may have changed. It is not safe for concurrent use.
type Watch struct {
	// Find finds the files, and Read reads those that were found.
	Find func() ([]File, error)
	Read func([]File) error
	// Now returns the current time. Default: time.Now.
	Now func() time.Time

	seen   []File // what was read last, without contents; nil if it could not be read
	seenAt time.Time
}

// Look returns the files if they may have changed since the last call.
func (w *Watch) Look() (found []File, changed bool, err error) {
	found, err = w.Find()
	if err != nil {
		w.seen = nil
		return nil, false, err
	}
	if w.isUnchanged(found) {
		return nil, false, nil
	}
	w.seen, w.seenAt = nil, w.now()
	if found, err = w.readStable(found); err != nil {
		return nil, false, err
	}
	w.seen = slices.Clone(found)
	for i := range w.seen {
		w.seen[i].Content = nil
	}
	return found, true, nil
}

// readStable reads files, and reads them again if they changed meanwhile: half of one version may have been read with
// half of another.
func (w *Watch) readStable(found []File) ([]File, error) {
	for range 3 {
		if err := w.Read(found); err != nil {
			return nil, err
		}
		again, err := w.Find()
		if err != nil {
			return nil, err
		}
		if isSame(found, again) {
			return found, nil
		}
		found = again
	}
	return nil, errors.New("the files keep changing")
}

func (w *Watch) isUnchanged(found []File) bool {
	if w.seen == nil || w.now().Sub(w.seenAt) >= rereadAfter || w.seenAt.Sub(newest(w.seen)) < racyAge {
		return false
	}
	return isSame(w.seen, found)
}

func (w *Watch) now() time.Time {
	if w.Now == nil {
		return time.Now()
	}
	return w.Now()
}

func isSame(before, after []File) bool {
	return slices.EqualFunc(before, after, func(a, b File) bool {
		return a.Name == b.Name && a.info.Size() == b.info.Size() &&
			a.info.ModTime().Equal(b.info.ModTime()) && os.SameFile(a.info, b.info)
	})
}

// newest returns the latest modification time of any file.
func newest(files []File) time.Time {
	var latest time.Time
	for _, f := range files {
		if t := f.info.ModTime(); t.After(latest) {
			latest = t
		}
	}
	return latest
}
