package policy

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// File is a policy file that its reader has read: out of a bundle, say.
type File struct {
	// Name is what errors call it.
	Name string
	// Path is the slash-separated path below the policy's folder, or the bundle's root.
	Path    string
	Content []byte
}

// Candidate is a policy that nothing runs yet.
type Candidate struct {
	// Paths are files and folders as those of [Config]. Unlike there, tests may be named, and a
	// folder may have nothing but tests: they are left out.
	Paths []string
	// Ignore are patterns of [path.Match]. Files of Paths whose names match one, or the name of a
	// folder on their way, are left out.
	Ignore []string
	// Files belong to the policy like those of Paths.
	Files []File
	// NoDefaults is that of [Config].
	NoDefaults bool
}

// Check reports what [Load] would refuse of a policy: whatever is wrong, joined, each with file and
// line where it has them.
func (c Candidate) Check() error {
	sources, err := c.sources()
	if err != nil {
		return err
	}
	shipped, err := shippedSources(c.NoDefaults)
	if err != nil {
		return err
	}
	_, err = compile(append(shipped, sources...))
	return err
}

func (c Candidate) sources() ([]source, error) {
	s := scanner{seen: make(map[string]bool), tests: true}
	for _, path := range c.Paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("reading policy: %w", err)
		}
		if !info.IsDir() && !isPolicyFile(path, true) {
			continue
		}
		if err := s.root(path); err != nil {
			return nil, err
		}
	}
	sources := slices.DeleteFunc(withoutTests(s.found), c.ignores)
	if err := read(sources); err != nil {
		return nil, err
	}
	for _, file := range c.Files {
		rel := strings.TrimPrefix(path.Clean(file.Path), "/")
		if isPolicyFile(rel, false) {
			sources = append(sources, source{name: file.Name, rel: rel, content: file.Content})
		}
	}
	return sources, nil
}

func (c Candidate) ignores(s source) bool {
	for name := range strings.SplitSeq(s.rel, "/") {
		for _, pattern := range c.Ignore {
			if matches, err := path.Match(pattern, name); err == nil && matches {
				return true
			}
		}
	}
	return false
}
