package opacli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/util"
)

// load reads bundles, or makes one from files and folders like OPA's build.
func (b *build) load(paths []string, capabilities *ast.Capabilities) (*bundle.Bundle, error) {
	verification, err := b.verification()
	if err != nil {
		return nil, err
	}
	files := loader.NewFileLoader().
		WithRegoVersion(ast.RegoV1).
		WithProcessAnnotation(true).
		WithCapabilities(capabilities).
		WithFollowSymlinks(flag(b.Command, "follow-symlinks")).
		WithFilter(ignoring(b.ignore)).
		WithBundleVerificationConfig(verification)
	if !b.bundleMode {
		b.warnOfManifests(paths)
		found, err := files.Filtered(paths, ignoring(b.ignore))
		if err != nil {
			return nil, err
		}
		return bundleOf(found, paths)
	}
	bundles := make([]*bundle.Bundle, len(paths))
	for i, path := range paths {
		if bundles[i], err = files.AsBundle(path); err != nil {
			return nil, err
		}
		bundles[i].Modules = slices.DeleteFunc(bundles[i].Modules, func(m bundle.ModuleFile) bool { // of "caddy m2m init"
			return strings.Contains(m.Path, "/.m2m/")
		})
		for m := range bundles[i].Modules {
			module := &bundles[i].Modules[m]
			module.URL = strings.TrimPrefix(module.RelativePath, "/")
		}
	}
	merged, err := bundle.MergeWithRegoVersion(bundles, ast.RegoV1, false)
	if err != nil {
		return nil, fmt.Errorf("merging bundles: %w", err)
	}
	return merged, checkNames(merged.Modules)
}

// bundleOf makes a bundle from files. Their names are relative to the given paths, so that they do not depend on where
// the build runs. The server refuses names that lead out of a bundle.
func bundleOf(found *loader.Result, paths []string) (*bundle.Bundle, error) {
	made := &bundle.Bundle{Data: found.Documents}
	made.SetRegoVersion(ast.RegoV1)
	made.Manifest.Init()
	for _, name := range util.KeysSorted(found.Modules) {
		module := found.Modules[name]
		made.Modules = append(made.Modules, bundle.ModuleFile{
			URL: nameBelow(paths, module.Name), Path: filepath.ToSlash(module.Name), Raw: module.Raw, Parsed: module.Parsed,
		})
	}
	return made, checkNames(made.Modules)
}

// nameBelow returns a file's name relative to the first path that contains it, or its base name if it is one of the
// paths. A file that is below none of them is from a bundle, and keeps its name.
func nameBelow(paths []string, file string) string {
	for _, path := range paths {
		switch rel, err := filepath.Rel(path, file); {
		case err != nil || !filepath.IsLocal(rel):
		case rel == ".":
			return filepath.Base(file)
		default:
			return filepath.ToSlash(rel)
		}
	}
	return strings.TrimPrefix(filepath.ToSlash(file), "/")
}

// checkNames refuses a bundle in which two files would have one name.
func checkNames(modules []bundle.ModuleFile) error {
	from := make(map[string]string, len(modules))
	for _, module := range modules {
		if other, taken := from[module.URL]; taken {
			return fmt.Errorf("%s and %s would both be %s in the bundle", other, module.Path, module.URL)
		}
		from[module.URL] = module.Path
	}
	return nil
}

func (b *build) warnOfManifests(paths []string) {
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(path, bundle.ManifestExt)); err == nil {
			fmt.Fprintf(b.ErrOrStderr(), "Warning: the %s file in %q is left out: it has an effect only with --bundle\n", bundle.ManifestExt, path)
		}
	}
}

// replaceFile writes a file, complete or not at all, because others may be reading it. Until it is complete, it is a
// hidden file in folder.
func replaceFile(name, folder string, mode os.FileMode, write func(io.Writer) error) error {
	temporary, err := os.CreateTemp(folder, ".opa-")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if err := errors.Join(write(temporary), temporary.Chmod(mode), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
