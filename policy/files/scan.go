package files

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxDepth bounds how deep folders may be nested.
const maxDepth = 32

// Scan finds the policy's files below paths without reading them, in a stable order. It includes tests if they are
// wanted. A file that can be reached twice is found once.
func Scan(paths []string, tests bool) ([]File, error) {
	s := scanner{seen: make(map[string]bool), tests: tests}
	for _, path := range paths {
		if err := s.root(path); err != nil {
			return nil, err
		}
	}
	return s.found, nil
}

type scanner struct {
	found   []File
	seen    map[string]bool // resolved paths
	tests   bool            // whether tests are wanted
	matched int             // files found, including those that were found before
}

func (s *scanner) root(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	path = filepath.Clean(path)
	before := s.matched
	if !info.IsDir() {
		if !IsPolicy(path, s.tests) {
			return fmt.Errorf("%s is not a .rego, .json or .yaml file, or it is a test", path)
		}
		return s.file(path, filepath.Base(path), info)
	}
	if err := s.dir(path, "", nil); err != nil {
		return err
	}
	if s.matched == before {
		return fmt.Errorf("no .rego, .json or .yaml file in %s", path)
	}
	return nil
}

// dir finds the files of a folder. It follows symbolic links, because that is how the files of a ConfigMap are mounted,
// but not in a circle.
func (s *scanner) dir(path, rel string, above []fs.FileInfo) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	isInfo := func(other fs.FileInfo) bool { return os.SameFile(info, other) }
	if len(above) == maxDepth || slices.ContainsFunc(above, isInfo) {
		return fmt.Errorf("%s is a circle of links, or too deep", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
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
	case err != nil && IsPolicy(name, s.tests):
		return err
	case err != nil:
		return nil
	case info.IsDir():
		return s.dir(path, rel+"/", above)
	case IsPolicy(name, s.tests):
		return s.file(path, rel, info)
	}
	return nil
}

func (s *scanner) file(path, rel string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	target, err := filepath.EvalSymlinks(path)
	if err == nil {
		target, err = filepath.Abs(target)
	}
	if err != nil {
		return err
	}
	s.matched++
	if s.seen[target] {
		return nil
	}
	s.seen[target] = true
	if len(s.found) == MaxCount {
		return fmt.Errorf("more than %d files", MaxCount)
	}
	s.found = append(s.found, File{Name: path, Path: rel, info: info})
	return nil
}
