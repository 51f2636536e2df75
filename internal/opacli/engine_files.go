package opacli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/policy"
	shipped "github.com/caddy-m2m/caddy-m2m/rego"
)

// engineFiles is a folder with what the server's engine has: capabilities, input schemas and shipped modules. OPA's
// commands take paths. The folder is in the user's cache, and its name has a hash of its content, so that every version
// of this program has its own.
type engineFiles struct {
	dir   string
	close func()
}

// The shipped modules are in two folders: OPA's loaders take folders in every mode.
const (
	library  = "library"  // modules that are loaded with every policy
	defaults = "defaults" // the shipped policy
)

func (s *engineFiles) capabilities() string { return filepath.Join(s.dir, "capabilities.json") }
func (s *engineFiles) schemas() string      { return filepath.Join(s.dir, "schemas") }

func (s *engineFiles) modules(noDefaults bool) []string {
	if noDefaults {
		return []string{filepath.Join(s.dir, library)}
	}
	return []string{filepath.Join(s.dir, library), filepath.Join(s.dir, defaults)}
}

// contains reports whether a file is in the folder. OPA names some files without the first slash.
func (s *engineFiles) contains(file string) bool {
	folder := strings.Trim(filepath.ToSlash(s.dir), "/") + "/"
	return strings.HasPrefix(strings.TrimPrefix(filepath.ToSlash(file), "/"), folder)
}

// writeEngineFiles writes the folder unless it is there. Without a cache, the folder is temporary, and close removes it.
func writeEngineFiles() (*engineFiles, error) {
	files, err := listEngineFiles()
	if err != nil {
		return nil, err
	}
	if cache, err := os.UserCacheDir(); err == nil {
		s := &engineFiles{filepath.Join(cache, "caddy-m2m", "opa-"+digest(files)), func() {}}
		if syncFolder(s.dir, files) == nil {
			return s, nil
		}
	}
	dir, err := os.MkdirTemp("", "caddy-m2m-opa-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the shipped modules: %w", err)
	}
	s := &engineFiles{dir, func() { os.RemoveAll(dir) }}
	if err := syncFolder(dir, files); err != nil {
		s.close()
		return nil, fmt.Errorf("writing the shipped modules: %w", err)
	}
	return s, nil
}

type engineFile struct {
	name    string // slash-separated
	content []byte
}

func listEngineFiles() ([]engineFile, error) {
	capabilities, err := policy.CapabilitiesJSON()
	if err != nil {
		return nil, err
	}
	files := []engineFile{{"capabilities.json", capabilities}}
	err = fs.WalkDir(shipped.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := shipped.Files.ReadFile(name)
		files = append(files, engineFile{engineFileName(name), content})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading shipped files: %w", err)
	}
	return files, nil
}

func engineFileName(name string) string {
	switch {
	case path.Ext(name) != ".rego":
		return name // a schema
	case name == shipped.Token:
		return path.Join(defaults, name)
	}
	return path.Join(library, name)
}

func digest(files []engineFile) string {
	h := sha256.New()
	for _, file := range files {
		fmt.Fprintf(h, "%q %d\n", file.name, len(file.content))
		h.Write(file.content)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// syncFolder makes a folder hold these files and no others.
func syncFolder(dir string, files []engineFile) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, file := range files {
		if err := put(dir, filepath.FromSlash(file.name), file.content); err != nil {
			return err
		}
	}
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil || slices.ContainsFunc(files, func(f engineFile) bool { return f.name == filepath.ToSlash(rel) }) {
			return err
		}
		return os.Remove(name)
	})
}

// put writes a file, complete or not at all, unless it is there already.
func put(dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// next to the folder, where no loader finds it
	temporary, err := os.CreateTemp(filepath.Dir(dir), ".opa-")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
