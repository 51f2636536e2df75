package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Bounds on what is read: a policy is some files, and a path that was mistaken for one is not to
// fill the memory.
const (
	maxFiles = 10_000
	maxDepth = 32
	maxBytes = 64 << 20
)

// source is one file of a policy.
type source struct {
	// name is the path that errors show.
	name string
	// rel is the slash-separated path below the configured folder, by which data is placed.
	rel     string
	info    fs.FileInfo
	content []byte
}

func (s source) isRego() bool { return filepath.Ext(s.name) == ".rego" }

// isTest says whether the source is no part of the policy, but tests it.
func (s source) isTest() bool { return strings.HasSuffix(s.name, testSuffix) }

const testSuffix = "_test.rego"

// folder is the data path of a data file: the names of its folders.
func (s source) folder() []string {
	dir, _, found := cutLast(s.rel, "/")
	if !found {
		return nil
	}
	return strings.Split(dir, "/")
}

// isPolicyFile says which files of a folder are read.
func isPolicyFile(name string, tests bool) bool {
	switch filepath.Ext(name) {
	case ".rego":
		return tests || !strings.HasSuffix(name, testSuffix)
	case ".json", ".yaml", ".yml":
		return true
	}
	return false
}

// scan finds the policy's files without reading them, in a stable order, with its tests if these are
// wanted. A file that is reachable twice is found once.
func scan(paths []string, tests bool) ([]source, error) {
	s := scanner{seen: make(map[string]bool), tests: tests}
	for _, path := range paths {
		if err := s.root(path); err != nil {
			return nil, err
		}
	}
	return s.found, nil
}

type scanner struct {
	found []source
	seen  map[string]bool
	tests bool // are wanted
	// matched counts files that were found again, too.
	matched int
}

func (s *scanner) root(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	path = filepath.Clean(path)
	before := s.matched
	if !info.IsDir() {
		if !isPolicyFile(path, s.tests) {
			return fmt.Errorf("reading policy: %s is no .rego, .json or .yaml file, or is a test", path)
		}
		return s.file(path, filepath.Base(path), info)
	}
	if err := s.dir(path, "", nil); err != nil {
		return err
	}
	if s.matched == before {
		return fmt.Errorf("reading policy: no .rego, .json or .yaml file in %s", path)
	}
	return nil
}

// dir follows symbolic links, which is how a ConfigMap's files are mounted, but never in a circle.
func (s *scanner) dir(path, rel string, above []fs.FileInfo) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	isInfo := func(other fs.FileInfo) bool { return os.SameFile(info, other) }
	if len(above) == maxDepth || slices.ContainsFunc(above, isInfo) {
		return fmt.Errorf("reading policy: %s is a circle of links, or too deep", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	above = append(slices.Clip(above), info)
	for _, entry := range entries {
		if err := s.entry(filepath.Join(path, entry.Name()), rel+entry.Name(), above); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) entry(path, rel string, above []fs.FileInfo) error {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && isPolicyFile(name, s.tests):
		return fmt.Errorf("reading policy: %w", err)
	case err != nil:
		return nil
	case info.IsDir():
		return s.dir(path, rel+"/", above)
	case isPolicyFile(name, s.tests):
		return s.file(path, rel, info)
	}
	return nil
}

func (s *scanner) file(path, rel string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("reading policy: %s is no regular file", path)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	if target, err = filepath.Abs(target); err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	s.matched++
	if s.seen[target] {
		return nil
	}
	s.seen[target] = true
	if len(s.found) == maxFiles {
		return fmt.Errorf("reading policy: more than %d files", maxFiles)
	}
	s.found = append(s.found, source{name: path, rel: rel, info: info})
	return nil
}

// read reads all files. What is known of a file is asked of the very file that is read.
func read(sources []source) error {
	left := int64(maxBytes)
	for i := range sources {
		if err := sources[i].read(left); err != nil {
			return fmt.Errorf("reading policy: %w", err)
		}
		left -= int64(len(sources[i].content))
	}
	if err := checkRego(sources); err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	return nil
}

func (s *source) read(limit int64) error {
	f, err := os.Open(s.name)
	if err != nil {
		return err
	}
	defer f.Close()
	if s.info, err = f.Stat(); err != nil {
		return err
	}
	if s.info.Size() > limit { // which spares reading most of it
		return errTooLarge
	}
	if s.content, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
		return err
	}
	if int64(len(s.content)) > limit {
		return errTooLarge
	}
	return nil
}

// revisionOf hashes sources by name and content. Where the folder stands is not part of it.
func revisionOf(sources []source) string {
	h := sha256.New()
	for _, s := range sources {
		for _, part := range [][]byte{[]byte(s.rel), s.content} {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			h.Write(part)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// newest is the latest modification of any source.
func newest(sources []source) time.Time {
	var latest time.Time
	for _, s := range sources {
		if t := s.info.ModTime(); t.After(latest) {
			latest = t
		}
	}
	return latest
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
