package opacli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/util"
)

// load reads the bundles, or makes one of files and folders as OPA's build does.
func (b *build) load(paths []string, capabilities *ast.Capabilities) (*bundle.Bundle, error) {
	verification, err := b.verification()
	if err != nil {
		return nil, err
	}
	followLinks, _ := b.flags.GetBool("follow-symlinks")
	files := loader.NewFileLoader().
		WithRegoVersion(ast.RegoV1).
		WithProcessAnnotation(true).
		WithCapabilities(capabilities).
		WithFollowSymlinks(followLinks).
		WithFilter(ignoring(b.ignore)).
		WithBundleVerificationConfig(verification)
	if !b.bundleMode {
		b.warnOfManifests(paths)
		found, err := files.Filtered(paths, ignoring(b.ignore))
		if err != nil {
			return nil, err
		}
		return bundleOf(found), nil
	}
	bundles := make([]*bundle.Bundle, len(paths))
	for i, path := range paths {
		if bundles[i], err = files.AsBundle(path); err != nil {
			return nil, err
		}
	}
	merged, err := bundle.MergeWithRegoVersion(bundles, ast.RegoV1, false)
	if err != nil {
		return nil, fmt.Errorf("merging bundles: %w", err)
	}
	return merged, nil
}

func bundleOf(found *loader.Result) *bundle.Bundle {
	made := &bundle.Bundle{Data: found.Documents}
	made.SetRegoVersion(ast.RegoV1)
	made.Manifest.Init()
	for _, name := range util.KeysSorted(found.Modules) {
		module := found.Modules[name]
		path := filepath.ToSlash(module.Name)
		made.Modules = append(made.Modules, bundle.ModuleFile{URL: path, Path: path, Raw: module.Raw, Parsed: module.Parsed})
	}
	return made
}

func (b *build) warnOfManifests(paths []string) {
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(path, bundle.ManifestExt)); err == nil {
			fmt.Fprintf(b.stderr, "Warning: the %s file in %q is left out: it counts with --bundle only\n", bundle.ManifestExt, path)
		}
	}
}

// writeFile writes a bundle whole or not at all: a server may be watching the file.
func writeFile(name string, made *bundle.Bundle) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return fmt.Errorf("writing bundle: %w", err)
	}
	defer os.Remove(temporary.Name())
	err = errors.Join(bundle.NewWriter(temporary).Write(*made), temporary.Chmod(0o644), temporary.Close())
	if err != nil {
		return fmt.Errorf("writing bundle: %w", err)
	}
	return os.Rename(temporary.Name(), name)
}
