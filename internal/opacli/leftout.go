package opacli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// reasons says why commands of OPA are left out. The others that are left out are not for authors of policies.
var reasons = map[string]string{
	"exec": "it runs OPA's plugins, which download bundles and upload decisions; use \"caddy opa eval\"",
	"run":  "it starts a second server; use \"caddy run\" to serve, and \"caddy opa eval\" to query a policy",
}

// leftOut returns a command that says why OPA's command of that name is left out.
func leftOut(name string) *cobra.Command {
	reason := reasons[name]
	if reason == "" {
		reason = "it is not for policies of this server; the opa program has it"
	}
	return &cobra.Command{
		Use:                name,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("\"opa %s\" is left out: %s", name, reason)
		},
	}
}

// refused holds the flags that are left out, by command, and why.
var refused = map[string]map[string]string{
	"bench": {
		"e2e":                   "it starts a second server",
		"config-file":           "it is for a second server",
		"shutdown-grace-period": "it is for a second server",
		"shutdown-wait-period":  "it is for a second server",
	},
	"build": {
		"target":             "the server compiles Rego itself",
		"optimize":           onlyRego,
		"entrypoint":         onlyRego,
		"partial-namespace":  onlyRego,
		"prune-unused":       onlyRego,
		"format":             onlyRego,
		"plan-addons":        onlyRego,
		"wasm-include-print": onlyRego,
		"v0-compatible":      "policies are Rego v1",
	},
	"version": {"check": "it asks a server on the Internet"},
}

const onlyRego = "the bundle holds the policy as it is written; the server joins it with the shipped rules, and compiles both"

// refuseFlags hides flags and refuses them, unless they are set to their default.
func refuseFlags(c *cobra.Command) {
	reasons := refused[c.Name()]
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, gone := reasons[f.Name]; gone {
			f.Hidden = true
		}
	})
	pre := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if err := pre(c, args); err != nil { // it also sets flags from the environment
			return err
		}
		var errs []error
		c.Flags().Visit(func(f *pflag.Flag) {
			if reason, gone := reasons[f.Name]; gone && f.Value.String() != f.DefValue {
				errs = append(errs, fmt.Errorf("--%s is left out: %s", f.Name, reason))
			}
		})
		return errors.Join(errs...)
	}
}

// name replaces the name of the command in its help.
func name(c *cobra.Command) {
	before, after := "opa "+c.Name(), "caddy opa "+c.Name()
	c.Long = strings.ReplaceAll(c.Long, before, after)
	c.Example = strings.ReplaceAll(c.Example, before, after)
}
