package bundle

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

const (
	maxRevision = 128
	// maxOwn bounds the manifest and the signatures, which OPA parses, too.
	maxOwn = 4 << 20
)

// read unpacks and verifies a bundle. OPA checks its manifest, roots and signature. Its files are then read like those of
// a folder.
func read(compressed []byte, keys *opa.VerificationConfig) (b *Bundle, err error) {
	defer func() {
		if recover() != nil { // a parser panics on what it takes to be impossible
			b, err = nil, errors.New("the parser gave up")
		}
	}()
	unpacked, err := unpack(compressed)
	if err != nil {
		return nil, err
	}
	if err := unpacked.check(); err != nil {
		return nil, err
	}
	verified, err := opa.NewCustomReader(unpacked).
		WithBundleVerificationConfig(keys).
		WithSizeLimitBytes(files.MaxBytes).
		WithLazyLoadingMode(false).
		Read()
	if err != nil {
		return nil, explainRead(err)
	}
	if len(verified.Manifest.WasmResolvers) > 0 {
		return nil, errors.New("its manifest has WebAssembly modules: build it with the target rego")
	}
	b = &Bundle{Revision: verified.Manifest.Revision, Files: unpacked.policyFiles()}
	if len(files.WithoutTests(b.Files)) == 0 {
		return nil, errors.New("no .rego file and no data in it")
	}
	return b, checkRevision(b.Revision)
}

// check refuses what OPA accepts and this program does not have, and data that OPA ignores: a deny list that is not
// loaded denies nothing. It counts all data and Rego, that of hidden files included, before OPA parses them.
func (a *archive) check() error {
	var parsed []files.File
	for _, f := range a.files {
		base := path.Base(f.Path)
		isOwn := strings.Contains(base, opa.ManifestExt) || opa.IsSignaturesFile(base)
		if isOwn && len(f.Content) > maxOwn {
			return fmt.Errorf("%s has more than %d MiB", f.Path, maxOwn>>20)
		}
		if !isOwn && opa.IsStructuredDoc(base) || path.Ext(base) == opa.RegoExt {
			parsed = append(parsed, f.File)
		}
		switch {
		case base == opa.WasmFile, base == opa.PlanFile, base == opa.PlanProtoFile:
			return fmt.Errorf("%s is for another engine: build the bundle with the target rego", f.Path)
		case base == "patch.json":
			return fmt.Errorf("%s is a delta, and only whole bundles are supported", f.Path)
		case isHidden(f.Path) || !files.IsPolicy(base, true) || path.Ext(base) == opa.RegoExt:
		case !opa.IsStructuredDoc(base):
			return fmt.Errorf("%s would not be read: a bundle has its data in files named data.json or data.yaml", f.Path)
		}
	}
	return files.Check(parsed)
}

// policyFiles returns the files that would be read if the bundle were a folder, in the order of a folder.
func (a *archive) policyFiles() []files.File {
	var found []files.File
	for _, f := range a.files {
		if !isHidden(f.Path) && files.IsPolicy(f.Path, true) {
			found = append(found, f.File)
		}
	}
	slices.SortFunc(found, func(a, b files.File) int { return strings.Compare(a.Path, b.Path) })
	return found
}

// isHidden reports whether a name in the path begins with a dot.
func isHidden(name string) bool { return strings.Contains("/"+name, "/.") }

// checkRevision makes sure that a revision fits into one word of a log line.
func checkRevision(revision string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }
	if len(revision) > maxRevision || strings.ContainsFunc(revision, odd) {
		return fmt.Errorf("its manifest's revision has more than %d bytes, spaces or control characters", maxRevision)
	}
	return nil
}

// explainRead words OPA's errors in the terms of this program's config, and puts the place before those of parsing.
func explainRead(err error) error {
	text := err.Error()
	var parsing ast.Errors
	switch {
	case strings.HasPrefix(text, "verification key not provided"):
		return errors.New("it is signed, and no key is configured to verify that")
	case strings.HasPrefix(text, "bundle missing .signatures.json"):
		return errors.New("it is not signed (there is no .signatures.json), and keys are configured")
	case strings.Contains(text, "JWT") || strings.Contains(text, "verification key") || strings.Contains(text, "scope mismatch"):
		return fmt.Errorf("the signature is not good: %w", err)
	case errors.As(err, &parsing):
		errs := make([]error, len(parsing))
		for i, e := range parsing {
			errs[i] = fmt.Errorf("%s:%d: %s", e.Location.File, max(1, e.Location.Row), e.Message) // an empty module has no row
		}
		return errors.Join(errs...)
	}
	return err
}
