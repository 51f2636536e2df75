// Package files finds, reads and checks the files of a policy, and merges its data files into one document. Its entry
// points are [Scan], [Read], [Data] and [Watch]; bundles use [Check], too. It imports no other package of this module.
package files

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds on the files of a policy, so that a path or archive given by mistake does not fill the memory.
const (
	MaxCount = 10_000
	MaxBytes = 64 << 20
)

// ErrTooLarge reports files of more than MaxBytes.
var ErrTooLarge = errors.New("the files have more than 64 MiB")

// File is one file of a policy.
type File struct {
	// Name is what errors call the file.
	Name string
	// Path is the slash-separated path below the policy's folder or the bundle's root. It places data.
	Path    string
	Content []byte

	info fs.FileInfo // nil unless the file was found by Scan or Stat
}

// IsRego reports whether the file holds rules, and not data.
func (f File) IsRego() bool { return filepath.Ext(f.Name) == ".rego" }

// IsTest reports whether the file holds tests of the policy.
func (f File) IsTest() bool { return strings.HasSuffix(f.Name, testSuffix) }

const testSuffix = "_test.rego"

// IsPolicy reports whether a file of that name is read, as a test or otherwise.
func IsPolicy(name string, tests bool) bool {
	switch filepath.Ext(name) {
	case ".rego":
		return tests || !strings.HasSuffix(name, testSuffix)
	case ".json", ".yaml", ".yml":
		return true
	}
	return false
}

// WithoutTests returns the files that are not tests.
func WithoutTests(files []File) []File {
	return slices.DeleteFunc(slices.Clone(files), File.IsTest)
}

// Stat returns a file without its content.
func Stat(name string) (File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, errors.New("it is not a regular file")
	}
	return File{Name: name, Path: filepath.Base(name), info: info}, nil
}

// Read reads all files, and refuses more bytes of Rego than a policy may have.
func Read(files []File) error {
	left := int64(MaxBytes)
	for i := range files {
		if err := files[i].Read(left); err != nil {
			return err
		}
		left -= int64(len(files[i].Content))
	}
	if err := checkRego(files); err != nil {
		return err
	}
	return nil
}

// Read reads a file of at most limit bytes. Its time and size become those of the file that was opened.
func (f *File) Read(limit int64) error {
	opened, err := os.Open(f.Name)
	if err != nil {
		return err
	}
	defer opened.Close()
	if f.info, err = opened.Stat(); err != nil {
		return err
	}
	if f.info.Size() > limit { // do not read most of it in vain
		return ErrTooLarge
	}
	if f.Content, err = io.ReadAll(io.LimitReader(opened, limit+1)); err != nil {
		return err
	}
	if int64(len(f.Content)) > limit {
		return ErrTooLarge
	}
	return nil
}

// Revision returns a hash of the paths and contents of files. It does not depend on where the folder is.
func Revision(files []File) string {
	h := sha256.New()
	for _, f := range files {
		for _, part := range [][]byte{[]byte(f.Path), f.Content} {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			h.Write(part)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
