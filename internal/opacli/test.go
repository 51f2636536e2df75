package opacli

import "github.com/spf13/cobra"

// asTest changes OPA's test in two ways. Coverage leaves out the shipped modules, which say nothing about the author's
// rules. And it is an error if no test runs, so that a wrong folder does not look like one whose tests pass.
func asTest(c *cobra.Command) {
	if empty := c.Flags().Lookup("fail-on-empty"); empty != nil && empty.Value.Set("true") == nil {
		empty.DefValue = "true"
	}
	run := c.RunE
	withEngineFiles(c, func(c *cobra.Command, args []string, s *engineFiles) error {
		if err := withoutBundleMode(c); err != nil {
			return err
		}
		measure := flag(c, "coverage") || c.Flags().Changed("threshold")
		if measure && !flag(c, "bench") && !flag(c, "watch") && !c.Flags().Changed("target") {
			return measureCoverage(c, args, s)
		}
		return run(c, args)
	})
	c.Long += bundleHelp + `

Coverage is that of your files. Only with --watch does it include the shipped modules.

The exit code is 2 if a test fails, and 1 for other errors. It is also 1 if no test runs,
unless you set --fail-on-empty=false.`
}
