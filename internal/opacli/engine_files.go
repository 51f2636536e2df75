package opacli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
	shipped "github.com/caddy-m2m/caddy-m2m/rego"
)

// engineFiles is a folder with the capabilities, the input schemas and the shipped modules of the server's engine, because
// OPA's commands take paths. The folder is in the user's cache. Its name has a hash of its content, so that each version of
// this program has its own folder.
type engineFiles struct {
	dir   string
	close func()
}

// The shipped modules are in two folders, because OPA's loaders take folders in every mode.
const (
	library  = "library"  // modules that are loaded with every policy
	defaults = "defaults" // the shipped policy
)

func (s *engineFiles) capabilities() string { return filepath.Join(s.dir, "capabilities.json") }
func (s *engineFiles) schemas() string      { return filepath.Join(s.dir, "schemas") }

// modulesBeside returns the paths of the shipped modules, to be loaded beside the given paths. There are none if the paths
// hold the shipped modules themselves, as the folder rego of this program's source does: loaded twice, they conflict.
func (s *engineFiles) modulesBeside(paths []string, noDefaults bool) []string {
	switch {
	case holdShipped(paths):
		return nil
	case noDefaults:
		return []string{filepath.Join(s.dir, library)}
	}
	return []string{filepath.Join(s.dir, library), filepath.Join(s.dir, defaults)}
}

// shippedPackage matches a package of which authors cannot have a module.
var shippedPackage = regexp.MustCompile(`(?m)^package m2m\.scope\b\s*$`)

func holdShipped(paths []string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		var found []files.File
		var err error // which the command reports
		if isBundle(path) {
			found, err = readBundleFiles(path, nil)
		} else if found, err = files.Scan([]string{path}, false); err == nil {
			err = files.Read(found)
		}
		return err == nil && slices.ContainsFunc(found, func(f files.File) bool { return f.IsRego() && shippedPackage.Match(f.Content) })
	})
}

// isBundle reports whether a path is that of a bundle, and not of a folder or a file.
func isBundle(path string) bool { return filepath.Ext(path) == ".gz" }

// contains reports whether a file is in the folder. OPA names some files without the first slash.
func (s *engineFiles) contains(file string) bool {
	folder := strings.Trim(filepath.ToSlash(s.dir), "/") + "/"
	return strings.HasPrefix(strings.TrimPrefix(filepath.ToSlash(file), "/"), folder)
}

// writeEngineFiles writes the folder unless it is there. Without a cache, the folder is temporary, and close removes it.
func writeEngineFiles() (*engineFiles, error) {
	ignoreMarks()
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

// listEngineFiles returns the files by their slash-separated names.
func listEngineFiles() (map[string][]byte, error) {
	capabilities, err := policy.CapabilitiesJSON()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"capabilities.json": capabilities}
	err = fs.WalkDir(shipped.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := shipped.Files.ReadFile(name)
		switch {
		case path.Ext(name) != ".rego": // a schema
		case name == shipped.Token:
			name = path.Join(defaults, name)
		default:
			name = path.Join(library, name)
		}
		files[name] = content
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading shipped files: %w", err)
	}
	return files, nil
}

func digest(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q %d\n", name, len(files[name]))
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// syncFolder makes a folder hold these files and no others. It leaves alone files that are right already.
func syncFolder(dir string, files map[string][]byte) error {
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, content) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		write := func(w io.Writer) error { _, err := w.Write(content); return err }
		// the temporary file is next to the folder, where no loader finds it
		if err := replaceFile(name, filepath.Dir(dir), 0o600, write); err != nil {
			return err
		}
	}
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if _, keep := files[filepath.ToSlash(rel)]; keep || err != nil {
			return err
		}
		return os.Remove(name)
	})
}
