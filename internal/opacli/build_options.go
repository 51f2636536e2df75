package opacli

import (
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/keys"
	"github.com/spf13/cobra"
)

// build is a build command with its parsed flags.
type build struct {
	*cobra.Command
	bundleMode, noDefaults bool
	ignore                 []string
}

func newBuild(c *cobra.Command) *build {
	b := &build{Command: c, bundleMode: flag(c, "bundle"), noDefaults: flag(c, "no-defaults")}
	b.ignore, _ = c.Flags().GetStringSlice("ignore")
	if b.bundleMode { // in which the manifest is a hidden file
		b.ignore = append(b.ignore, ".m2m")
	} else {
		b.ignore = append(b.ignore, ".*")
	}
	return b
}

func (b *build) text(flag string) string { return b.Flag(flag).Value.String() }

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
	exclude, _ := b.Flags().GetStringSlice("exclude-files-verify")
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
