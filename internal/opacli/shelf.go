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

// shelf is a folder with what this program holds for OPA, which takes paths. It stands in the user's
// cache, named by its content, so that every version of this program has its own.
type shelf struct {
	dir   string
	close func()
}

// The library is on the shelf in two folders: OPA's loaders take folders in every mode.
const (
	library  = "library"  // what every policy is loaded with
	defaults = "defaults" // the policy that ships
)

func (s *shelf) capabilities() string { return filepath.Join(s.dir, "capabilities.json") }
func (s *shelf) schemas() string      { return filepath.Join(s.dir, "schemas") }

func (s *shelf) modules(noDefaults bool) []string {
	if noDefaults {
		return []string{filepath.Join(s.dir, library)}
	}
	return []string{filepath.Join(s.dir, library), filepath.Join(s.dir, defaults)}
}

// holds reports whether a file is one of the shelf's. OPA calls some of them without the first slash.
func (s *shelf) holds(file string) bool {
	folder := strings.Trim(filepath.ToSlash(s.dir), "/") + "/"
	return strings.HasPrefix(strings.TrimPrefix(filepath.ToSlash(file), "/"), folder)
}

// newShelf finds the shelf or makes it. Where there is no cache it is made for this run alone, and
// close removes it.
func newShelf() (*shelf, error) {
	files, err := shelfFiles()
	if err != nil {
		return nil, err
	}
	if cache, err := os.UserCacheDir(); err == nil {
		s := &shelf{filepath.Join(cache, "caddy-m2m", "opa-"+digest(files)), func() {}}
		if fill(s.dir, files) == nil {
			return s, nil
		}
	}
	dir, err := os.MkdirTemp("", "caddy-m2m-opa-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the shipped modules: %w", err)
	}
	s := &shelf{dir, func() { os.RemoveAll(dir) }}
	if err := fill(dir, files); err != nil {
		s.close()
		return nil, fmt.Errorf("writing the shipped modules: %w", err)
	}
	return s, nil
}

type shelfFile struct {
	name    string // slash-separated
	content []byte
}

func shelfFiles() ([]shelfFile, error) {
	capabilities, err := policy.CapabilitiesJSON()
	if err != nil {
		return nil, err
	}
	files := []shelfFile{{"capabilities.json", capabilities}}
	err = fs.WalkDir(shipped.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := shipped.Files.ReadFile(name)
		files = append(files, shelfFile{shelfName(name), content})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading shipped files: %w", err)
	}
	return files, nil
}

func shelfName(name string) string {
	switch {
	case path.Ext(name) != ".rego":
		return name // a schema
	case name == shipped.Token:
		return path.Join(defaults, name)
	}
	return path.Join(library, name)
}

func digest(files []shelfFile) string {
	h := sha256.New()
	for _, file := range files {
		fmt.Fprintf(h, "%q %d\n", file.name, len(file.content))
		h.Write(file.content)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// fill brings a folder to hold these files, whole, and no others.
func fill(dir string, files []shelfFile) error {
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
		if err != nil || slices.ContainsFunc(files, func(f shelfFile) bool { return f.name == filepath.ToSlash(rel) }) {
			return err
		}
		return os.Remove(name)
	})
}

// put writes a file unless it is there already. One that is half written is never seen.
func put(dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// beside the shelf, where no loader finds it
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
