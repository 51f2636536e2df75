package opacli

import (
	"errors"
	"fmt"
	"io"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/keys"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// build holds the flags of a build.
type build struct {
	flags      *pflag.FlagSet
	stderr     io.Writer
	bundleMode bool
	noDefaults bool
	debug      bool
	ignore     []string
	output     string
	revision   string
}

func newBuild(c *cobra.Command) *build {
	b := &build{flags: c.Flags(), stderr: c.ErrOrStderr()}
	b.bundleMode, b.noDefaults, b.debug = flag(c, "bundle"), flag(c, "no-defaults"), flag(c, "debug")
	b.ignore, _ = b.flags.GetStringSlice("ignore")
	if !b.bundleMode { // in a bundle the manifest is a hidden file
		b.ignore = append(b.ignore, ".*")
	}
	b.output, b.revision = b.text("output"), b.text("revision")
	return b
}

func (b *build) text(flag string) string { return b.flags.Lookup(flag).Value.String() }

// verification returns how to verify the bundles that are read. It is nil without a key.
func (b *build) verification() (*bundle.VerificationConfig, error) {
	key := b.text("verification-key")
	if key == "" {
		return nil, nil
	}
	if !b.bundleMode {
		return nil, errors.New("--verification-key requires --bundle")
	}
	scope, id := b.text("scope"), b.text("verification-key-id")
	config, err := keys.NewKeyConfig(key, b.text("signing-alg"), scope)
	if err != nil {
		return nil, fmt.Errorf("reading --verification-key: %w", err)
	}
	exclude, _ := b.flags.GetStringSlice("exclude-files-verify")
	return bundle.NewVerificationConfig(map[string]*keys.Config{id: config}, id, scope, exclude), nil
}

// sign signs a bundle if there is a key. It removes the signatures of the bundles that were read.
func (b *build) sign(made *bundle.Bundle) error {
	made.Signatures = bundle.SignaturesConfig{}
	key, claims, plugin := b.text("signing-key"), b.text("claims-file"), b.text("signing-plugin")
	if key == "" {
		if claims != "" || plugin != "" {
			return errors.New("--claims-file and --signing-plugin require --signing-key")
		}
		return nil
	}
	id := "" // a file of claims has its own
	if claims == "" {
		id = b.text("verification-key-id")
	}
	config := bundle.NewSigningConfig(key, b.text("signing-alg"), claims).WithPlugin(plugin)
	if err := made.GenerateSignature(config, id, false); err != nil {
		return fmt.Errorf("signing the bundle: %w", err)
	}
	return nil
}
