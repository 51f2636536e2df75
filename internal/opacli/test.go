package opacli

import "github.com/spf13/cobra"

// asTest keeps OPA's test, but for coverage: OPA's would count the shipped modules, and how much of
// those an author's tests reach says nothing of the author's rules.
func asTest(c *cobra.Command) {
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

Coverage is that of your files; the shipped modules count with --watch alone.`
}
