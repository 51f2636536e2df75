package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/open-policy-agent/opa/v1/bundle"
)

const maxBundleRevision = 128

// bundled is a bundle that OPA has verified: what a folder is for others.
type bundled struct {
	// revision is the manifest's; often "".
	revision string
	sources  []source
}

// readBundle unpacks and verifies a bundle. Its manifest, roots and signature are OPA's matter; its
// files are then taken as those of a folder are, by the same rules.
func readBundle(compressed []byte, keys *bundle.VerificationConfig) (b *bundled, err error) {
	defer func() {
		if recover() != nil { // of a parser that thought something could not be
			b, err = nil, errors.New("the parser gave up")
		}
	}()
	files, err := unpack(compressed)
	if err != nil {
		return nil, err
	}
	if err := files.check(); err != nil {
		return nil, err
	}
	read, err := bundle.NewCustomReader(files).
		WithBundleVerificationConfig(keys).
		WithCapabilities(capabilities()).
		WithSizeLimitBytes(maxBytes).
		WithLazyLoadingMode(false).
		Read()
	if err != nil {
		return nil, explainBundle(err)
	}
	if len(read.Manifest.WasmResolvers) > 0 {
		return nil, errors.New("its manifest has WebAssembly modules: build it with the target rego")
	}
	b = &bundled{revision: read.Manifest.Revision, sources: files.sources()}
	if len(withoutTests(b.sources)) == 0 {
		return nil, errors.New("no .rego file and no data in it")
	}
	return b, checkBundleRevision(b.revision)
}

// maxOwn is how large the manifest or the signatures may be, of which OPA makes values, too.
const maxOwn = 4 << 20

// check refuses what OPA takes and this program does not have, and data that OPA passes over: a deny
// list that is not loaded denies nothing. It counts what there
// is of data and Rego, hidden files too, before OPA parses them.
func (a *archive) check() error {
	left := newBudget()
	var rego []source
	for _, f := range a.files {
		base := path.Base(f.path)
		if path.Ext(base) == bundle.RegoExt {
			rego = append(rego, source{name: f.path, content: f.content})
		}
		isOwn := strings.Contains(base, bundle.ManifestExt) || bundle.IsSignaturesFile(base)
		if isOwn && len(f.content) > maxOwn {
			return fmt.Errorf("%s has more than %d MiB", f.path, maxOwn>>20)
		}
		if !isOwn && bundle.IsStructuredDoc(base) {
			if err := (source{name: f.path, rel: f.path, content: f.content}).check(left); err != nil {
				return err
			}
		}
		switch {
		case base == bundle.WasmFile, base == bundle.PlanFile, base == bundle.PlanProtoFile:
			return fmt.Errorf("%s is for another engine: build the bundle with the target rego", f.path)
		case base == "patch.json":
			return fmt.Errorf("%s is a delta, and only whole bundles are taken", f.path)
		case isHidden(f.path) || !isPolicyFile(base, true) || path.Ext(base) == ".rego":
		case !bundle.IsStructuredDoc(base):
			return fmt.Errorf("%s would not be read: a bundle has its data in files named data.json or data.yaml", f.path)
		}
	}
	return checkRego(rego)
}

// sources are the files that would be read if the bundle were a folder, in a folder's order.
func (a *archive) sources() []source {
	var sources []source
	for _, f := range a.files {
		if !isHidden(f.path) && isPolicyFile(f.path, true) {
			sources = append(sources, source{name: f.path, rel: f.path, content: f.content})
		}
	}
	slices.SortFunc(sources, func(a, b source) int { return strings.Compare(a.rel, b.rel) })
	return sources
}

// isHidden reports whether the path has a name that begins with a dot.
func isHidden(name string) bool { return strings.Contains("/"+name, "/.") }

// checkBundleRevision keeps a revision fit for one word of a log line.
func checkBundleRevision(revision string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }
	if len(revision) > maxBundleRevision || strings.ContainsFunc(revision, odd) {
		return fmt.Errorf("its manifest's revision has more than %d bytes, spaces or control characters", maxBundleRevision)
	}
	return nil
}

// revisionWith puts the revision that authors gave a bundle before the hash of what is in it.
func revisionWith(given, hash string) string {
	if given == "" {
		return hash
	}
	return given + "@" + hash
}

// explainBundle says what OPA says in the words of this program's config.
func explainBundle(err error) error {
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "verification key not provided"):
		return errors.New("it is signed, and no key is configured to verify that")
	case strings.HasPrefix(text, "bundle missing .signatures.json"):
		return errors.New("it is not signed (there is no .signatures.json), and keys are configured")
	case strings.Contains(text, "JWT") || strings.Contains(text, "verification key") || strings.Contains(text, "scope mismatch"):
		return fmt.Errorf("the signature is not good: %w", err)
	}
	return explainLoad(err)
}
