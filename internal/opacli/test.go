package opacli

import "github.com/spf13/cobra"

// asTest keeps OPA's test, but for two things. Coverage: OPA's would count the shipped modules, and how
// much of those an author's tests reach says nothing of the author's rules. And that no test ran is an
// error: a wrong folder would else pass for one whose tests pass.
func asTest(c *cobra.Command) {
	if empty := c.Flags().Lookup("fail-on-empty"); empty != nil && empty.Value.Set("true") == nil {
		empty.DefValue = "true"
	}
	run := c.RunE
	withShelf(c, func(c *cobra.Command, args []string, s *shelf) error {
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
