package opacli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// testEach tests the paths together as one policy, or each folder below them as a policy of its own.
func testEach(c *cobra.Command, paths []string, test func(paths []string, s *engineFiles) error) error {
	s, err := writeEngineFiles()
	if err != nil {
		return err
	}
	defer s.close()
	if err := errors.Join(s.setDefaults(c), withoutBundleMode(c)); err != nil {
		return err
	}
	if !flag(c, "each") {
		err := test(paths, s)
		if several := severalPolicies(paths); err != nil && several != "" {
			fmt.Fprintf(c.ErrOrStderr(), "The tests in the folders of %s ran as those of one policy. If each folder is a policy of its own, add --each.\n", several)
		}
		return err
	}
	folders, err := policyFolders(paths)
	if err != nil {
		return err
	}
	worst := 0
	for _, folder := range folders {
		fmt.Fprintf(c.ErrOrStderr(), "%s:\n", folder)
		if err := test([]string{folder}, s); err != nil {
			worst = max(worst, ExitCode(err))
		}
	}
	if worst == 0 {
		return nil
	}
	c.SilenceErrors = true // each is printed
	return &cmd.ExitError{Exit: worst}
}

// checkTested refuses what the server would refuse. Other errors are left to the command, such as those of a folder without
// any file.
func checkTested(c *cobra.Command, paths []string) error {
	if flag(c, "watch") || holdShipped(paths) {
		return nil
	}
	err := checkPaths(c, paths)
	if located := (*policy.LoadError)(nil); err == nil || !errors.As(err, &located) {
		return nil
	}
	c.SilenceErrors = true
	_ = printErrors(c.ErrOrStderr(), "pretty", err)
	return &cmd.ExitError{Exit: 1}
}

// policyFolders returns the outermost folders below paths that have Rego files, in order.
func policyFolders(paths []string) ([]string, error) {
	var folders []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case !entry.IsDir():
				return nil
			case name != path && strings.HasPrefix(entry.Name(), "."):
				return fs.SkipDir
			}
			if found, err := filepath.Glob(filepath.Join(name, "*.rego")); err != nil || len(found) == 0 {
				return err
			}
			folders = append(folders, name)
			return fs.SkipDir
		})
		if err != nil {
			return nil, err
		}
	}
	if len(folders) == 0 {
		return nil, fmt.Errorf("no folder with .rego files below %s", strings.Join(paths, ", "))
	}
	return folders, nil
}

// severalPolicies returns the path that has several folders with tests, and no file itself, or "".
func severalPolicies(paths []string) string {
	for _, path := range paths {
		found, err := files.Scan([]string{path}, true)
		if err != nil || slices.ContainsFunc(found, func(f files.File) bool { return !strings.Contains(f.Path, "/") }) {
			continue
		}
		tested := make(map[string]bool)
		for _, f := range found {
			if f.IsTest() {
				tested[filepath.Dir(f.Path)] = true
			}
		}
		if len(tested) > 1 {
			return path
		}
	}
	return ""
}
