package file

import (
	"bytes"
	"io"
	"os"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// racyWindow is longer than the resolution of modification times of any file system (2 s on FAT).
const racyWindow = 2500 * time.Millisecond

// stamp is the metadata of a file when it was read.
type stamp struct {
	info  os.FileInfo // nil before the first reading
	read  time.Time   // when the reading began
	still bool        // the metadata was the same after the reading
}

// holds reports whether the file is still the one that was read.
func (s stamp) holds(info os.FileInfo) bool {
	return s.info != nil && s.still && s.isOld() && unchanged(s.info, info)
}

// isOld reports whether the last change was long enough before the reading. A modification time shortly before it proves
// nothing: the file may be written again within the resolution of the time, to the same size. Such a file is read again,
// as git does with its "racily clean" entries.
func (s stamp) isOld() bool {
	return s.info.ModTime().Before(s.read.Add(-racyWindow))
}

func unchanged(before, after os.FileInfo) bool {
	return os.SameFile(before, after) &&
		before.Size() == after.Size() &&
		before.ModTime().Equal(after.ModTime())
}

// statRegular is os.Stat for a registry file. It refuses pipes and devices, because reading one may never end.
func statRegular(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &registry.FileError{File: path, Msg: "not a regular file"}
	}
	if info.Size() > registry.MaxFileSize {
		return nil, registry.TooLarge(path)
	}
	return info, nil
}

// readStamped reads a file and its metadata. It reads the metadata first, so that a write during the reading shows at the
// next look, and usually in the metadata after the reading. It stops after MaxFileSize, because the file may grow.
func readStamped(path string, now func() time.Time) ([]byte, stamp, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, stamp{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, stamp{}, err
	}
	s := stamp{info: info, read: now()}
	var content bytes.Buffer
	content.Grow(int(min(info.Size(), registry.MaxFileSize)) + bytes.MinRead)
	if _, err = content.ReadFrom(io.LimitReader(file, registry.MaxFileSize+1)); err != nil {
		return nil, stamp{}, err
	}
	after, err := os.Stat(path)
	s.still = err == nil && unchanged(info, after) // an error is reported by the next look
	return content.Bytes(), s, nil
}
