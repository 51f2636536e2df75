package opacli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

const engineHelp = `

By default, the input schemas (--schema) and the builtin functions (--capabilities) are
those of the server, and the shipped modules are loaded together with your files. Names
that begin with a dot are left out, as by the server.`

const bundleHelp = `

With or without --bundle, a .tar.gz file is read as a bundle, and a folder as the server
reads a folder. Signatures are not verified.`

// withEngine gives a command the capabilities, schemas and modules of the server's engine.
func withEngine(c *cobra.Command) {
	c.Long += engineHelp
	describeDefaults(c)
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := writeEngineFiles()
		if err != nil {
			return err
		}
		defer s.close()
		if err := s.setDefaults(c); err != nil {
			return err
		}
		if args, err = s.addModules(c, args); err != nil {
			return err
		}
		return run(c, args)
	}
}

func describeDefaults(c *cobra.Command) {
	c.Flags().Bool("no-defaults", false, `leave the shipped rules out, as "defaults off" does; data.m2m.scope and data.m2m.grants stay`)
	for _, flag := range []string{"capabilities", "schema"} {
		if f := c.Flags().Lookup(flag); f != nil {
			f.Usage += " (default: those of the server)"
		}
	}
}

// setDefaults sets the flags that the user did not set.
func (s *engineFiles) setDefaults(c *cobra.Command) error {
	flags := c.Flags()
	for flag, path := range map[string]string{"capabilities": s.capabilities(), "schema": s.schemas()} {
		if f := flags.Lookup(flag); f != nil && !f.Changed {
			if err := flags.Set(flag, path); err != nil {
				return err
			}
		}
	}
	if readsBundles(c) {
		return nil
	}
	return flags.Set("ignore", ".*")
}

// addModules adds the shipped modules to the arguments or flags.
func (s *engineFiles) addModules(c *cobra.Command, args []string) ([]string, error) {
	flags := c.Flags()
	if flags.Lookup("data") == nil {
		return append(args[:len(args):len(args)], s.modulesBeside(args, flag(c, "no-defaults"))...), nil
	}
	load := "data"
	if c.Name() == "deps" && flags.Changed("bundle") { // it takes only one of the two
		load = "bundle"
	}
	data, _ := flags.GetStringSlice("data")
	for _, path := range s.modulesBeside(data, flag(c, "no-defaults")) {
		if err := flags.Set(load, path); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// readsBundles reports whether --bundle names bundles, in which hidden files have a meaning.
func readsBundles(c *cobra.Command) bool {
	f := c.Flags().Lookup("bundle")
	return f.Changed && f.Value.Type() != "bool"
}

// withoutBundleMode makes a command read bundles together with the shipped modules, as OPA does without --bundle. In
// bundle mode, the roots of the two would overlap.
func withoutBundleMode(c *cobra.Command) error { return c.Flags().Set("bundle", "false") }

func flag(c *cobra.Command, name string) bool {
	set, err := c.Flags().GetBool(name)
	return err == nil && set
}

// asCapabilities prints the server's capabilities as the current ones.
func asCapabilities(c *cobra.Command) {
	c.Long += `

The current version is that of the server's engine, which has no builtin functions for
the network or the environment of its host.`
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if flag(c, "current") && !c.Flags().Changed("file") && !c.Flags().Changed("version") {
			text, err := policy.CapabilitiesJSON()
			if err == nil {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", text)
			}
			return err
		}
		err := run(c, args)
		c.SilenceErrors = false // the command does not print errors
		return err
	}
}
