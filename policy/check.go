package policy

import (
	"os"
	"path"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// Candidate is a policy to check.
type Candidate struct {
	// Paths are files and folders like those of [Config]. Unlike there, they may be tests, and a folder may hold
	// nothing but tests. Tests are left out.
	Paths []string
	// Ignore are patterns of [path.Match]. Files of Paths whose names match one, or the name of a
	// folder on their way, are left out.
	Ignore []string
	// Files are checked together with those in Paths.
	Files []files.File
	// NoDefaults is like that of [Config].
	NoDefaults bool
}

// Check returns all errors that [Load] would return for a policy, joined, with file and line where they have them.
func (c Candidate) Check() error {
	own, err := c.files()
	if err != nil {
		return err
	}
	shipped, err := shippedFiles(c.NoDefaults)
	if err != nil {
		return err
	}
	_, err = compile(append(shipped, own...))
	return err
}

func (c Candidate) files() ([]files.File, error) {
	var paths []string
	for _, path := range c.Paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.IsDir() || files.IsPolicy(path, true) {
			paths = append(paths, path)
		}
	}
	found, err := files.Scan(paths, true)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(files.WithoutTests(found), c.ignores)
	if err := files.Read(found); err != nil {
		return nil, err
	}
	for _, file := range c.Files {
		file.Path = strings.TrimPrefix(path.Clean(file.Path), "/")
		if files.IsPolicy(file.Path, false) {
			found = append(found, file)
		}
	}
	return found, nil
}

func (c Candidate) ignores(f files.File) bool {
	for name := range strings.SplitSeq(f.Path, "/") {
		for _, pattern := range c.Ignore {
			if matches, err := path.Match(pattern, name); err == nil && matches {
				return true
			}
		}
	}
	return false
}
