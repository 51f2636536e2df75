package registry

import (
	"bytes"
	"io"
	"os"
	"time"
)

// racyWindow is longer than any file system's tick of modification times (FAT's is 2 s).
const racyWindow = 2500 * time.Millisecond

// stamp is what a file's directory entry said when the file was read.
type stamp struct {
	info  os.FileInfo // nil before the first reading
	read  time.Time   // when the reading began
	still bool        // the entry said the same when the reading had ended
}

// holds reports whether the file is still the one that was read.
func (s stamp) holds(info os.FileInfo) bool {
	return s.info != nil && s.still && s.isOld() && unchanged(s.info, info)
}

// isOld reports whether the last change was long enough before the reading. A modification time
// shortly before it proves nothing: the file may be written again within the same tick, to the
// same size. Such a file is read again, as git does with its "racily clean" entries.
func (s stamp) isOld() bool {
	return s.info.ModTime().Before(s.read.Add(-racyWindow))
}

func unchanged(before, after os.FileInfo) bool {
	return os.SameFile(before, after) &&
		before.Size() == after.Size() &&
		before.ModTime().Equal(after.ModTime())
}

// statRegular is os.Stat for what can be a registry file. A pipe or a device is none: reading it
// could take for ever.
func statRegular(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &FileError{File: path, Msg: "not a regular file"}
	}
	if info.Size() > MaxFileSize {
		return nil, tooLarge(path)
	}
	return info, nil
}

// readStamped reads a file, and its stamp before that: a write in between shows the next time, and
// as a rule in what the path leads to afterwards. It stops behind MaxFileSize, for the file may
// grow meanwhile.
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
	content.Grow(int(min(info.Size(), MaxFileSize)) + bytes.MinRead)
	if _, err = content.ReadFrom(io.LimitReader(file, MaxFileSize+1)); err != nil {
		return nil, stamp{}, err
	}
	after, err := os.Stat(path)
	s.still = err == nil && unchanged(info, after) // what is wrong now, the next look tells
	return content.Bytes(), s, nil
}
