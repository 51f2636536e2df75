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
	info os.FileInfo // nil before the first reading
	read time.Time   // when it was read
}

// holds reports whether the file is still the one that was read. A modification time shortly before
// the reading proves nothing: the file may have been written again within the same tick, to the
// same size. Such a file is read again, as git does with its "racily clean" entries.
func (s stamp) holds(info os.FileInfo) bool {
	return s.info != nil &&
		os.SameFile(s.info, info) &&
		s.info.Size() == info.Size() &&
		s.info.ModTime().Equal(info.ModTime()) &&
		info.ModTime().Before(s.read.Add(-racyWindow))
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

// readStamped reads a file, and its stamp before that: a write in between shows the next time. It
// stops behind MaxFileSize, for the file may grow meanwhile.
func readStamped(path string, now func() time.Time) ([]byte, stamp, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, stamp{}, err
	}
	defer file.Close()
	s := stamp{read: now()}
	if s.info, err = file.Stat(); err != nil {
		return nil, stamp{}, err
	}
	var content bytes.Buffer
	content.Grow(int(min(s.info.Size(), MaxFileSize)) + bytes.MinRead)
	_, err = content.ReadFrom(io.LimitReader(file, MaxFileSize+1))
	return content.Bytes(), s, err
}
