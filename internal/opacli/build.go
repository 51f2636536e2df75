package opacli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/policy"
	shipped "github.com/caddy-m2m/caddy-m2m/rego"
)

const buildHelp = `Build a signed or unsigned bundle of a policy, for this server.

    $ caddy opa build policy/ -o bundle.tar.gz
    $ caddy opa build -b policy/ -r v7 --signing-key key.pem --signing-alg ES256

The bundle contains only your files, formatted. It does not contain the shipped modules,
because the server adds its own. The files are checked together with the shipped modules,
and against the contract, as "caddy opa check" does.

Without --bundle, the paths are files and folders. The bundle has their .rego, .json and
.yaml files, except those whose names begin with a dot, and owns all of data.
With --bundle, the paths are bundles, or folders laid out as bundles: data is in files
named data.json or data.yaml, and .manifest says which roots the bundle owns. Several
bundles are merged.

The name of a file in the bundle is its path below the given path: of policy/,
policy/teams/a.rego becomes teams/a.rego. Two files cannot have the same name.

Tests are included unless you set --ignore '*_test.rego'. The server leaves them out.

--signing-key is the PEM file of a private RSA or EC key. --verification-key verifies the
signatures of the bundles that are read.`

// asBuild keeps the flags of OPA's build but implements it differently. OPA's build fails for a policy that calls the
// shipped modules, because they are not in the bundle.
func asBuild(c *cobra.Command) {
	c.Short = "Build a bundle of a policy"
	c.Long = buildHelp
	describeDefaults(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		b := newBuild(c)
		made, err := b.make(args)
		if err != nil {
			return err
		}
		output := b.text("output")
		err = replaceFile(output, filepath.Dir(output), 0o644, func(w io.Writer) error { return bundle.NewWriter(w).Write(*made) })
		if err != nil {
			return fmt.Errorf("writing bundle: %w", err)
		}
		return nil
	}
}

// make reads, checks and signs a bundle.
func (b *build) make(paths []string) (*bundle.Bundle, error) {
	ignoreMarks()
	capabilities, err := loadCapabilities(b.text("capabilities"))
	if err != nil {
		return nil, err
	}
	if err := b.check(paths); err != nil {
		return nil, err
	}
	made, err := b.load(paths, capabilities)
	if err != nil {
		return nil, err
	}
	if err := b.compile(made, capabilities); err != nil {
		return nil, err
	}
	if b.Flags().Changed("revision") {
		made.Manifest.Revision = b.text("revision")
	}
	err = made.FormatModulesWithOptions(bundle.BundleFormatOptions{
		RegoVersion:               ast.RegoV1,
		Capabilities:              capabilities,
		PreserveModuleRegoVersion: true,
	})
	if err != nil {
		return nil, fmt.Errorf("formatting modules: %w", err)
	}
	return made, b.sign(made)
}

// check checks the files against the contract. It reads them itself, because loading a bundle can lose data silently.
func (b *build) check(paths []string) error {
	candidate := policy.Candidate{NoDefaults: b.noDefaults}
	if !b.bundleMode {
		candidate.Paths, candidate.Ignore = paths, b.ignore
		return candidate.Check()
	}
	for _, path := range paths {
		files, err := readVisibleFiles(path, ignoring(b.ignore))
		if err != nil {
			return err
		}
		candidate.Files = append(candidate.Files, files...)
	}
	return candidate.Check()
}

// compile compiles the bundle, including its tests, together with the shipped modules.
func (b *build) compile(made *bundle.Bundle, capabilities *ast.Capabilities) error {
	joined := *made
	joined.Modules = slices.Clone(made.Modules)
	names, err := fs.Glob(shipped.Files, "*.rego")
	if err != nil {
		return fmt.Errorf("reading shipped policy: %w", err)
	}
	for _, name := range names {
		if b.noDefaults && name == shipped.Token {
			continue
		}
		content, err := shipped.Files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading shipped policy: %w", err)
		}
		module, err := ast.ParseModuleWithOpts("shipped://"+name, string(content), ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			return fmt.Errorf("parsing shipped policy: %w", err)
		}
		joined.Modules = append(joined.Modules,
			bundle.ModuleFile{URL: "shipped://" + name, Path: "shipped://" + name, Raw: content, Parsed: module})
	}
	compiler := compile.New().WithBundle(&joined).WithCapabilities(capabilities).WithRegoVersion(ast.RegoV1)
	if flag(b.Command, "debug") {
		compiler = compiler.WithDebug(b.ErrOrStderr())
	}
	return compiler.Build(context.Background())
}
