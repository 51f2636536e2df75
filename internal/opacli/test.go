package opacli

import "github.com/spf13/cobra"

// asTest changes two things about OPA's test. Coverage does not count the shipped modules, because it says nothing about
// the author's rules. And it is an error if no test runs, so that a wrong folder does not look like one whose tests pass.
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

Coverage is that of your files; the shipped modules count with --watch alone.

The exit code is 2 when a test fails, and 1 for other errors. That no test ran is one, too,
unless you say --fail-on-empty=false.`
}
