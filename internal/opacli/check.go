package opacli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// asCheck runs the server's checks before OPA's check, which also checks tests.
func asCheck(c *cobra.Command) {
	if strict := c.Flags().Lookup("strict"); strict != nil && strict.Value.Set("true") == nil {
		strict.DefValue = "true"
	}
	c.Long += `

The command also fails, whatever the flags are, for everything that the server would
refuse: rules that do not fit the contract, such as misspelt ones, packages that are not
for policies, and data in which a value would be lost. Tests are checked only by OPA,
because the server leaves them out.`
	withEngine(c)
	c.Long += bundleHelp
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkPaths(c, args); err != nil {
			c.SilenceErrors = true
			return printErrors(c.ErrOrStderr(), c.Flag("format").Value.String(), err)
		}
		if err := withoutBundleMode(c); err != nil {
			return err
		}
		return run(c, args)
	}
}

// checkPaths runs the server's checks on files, folders and bundles.
func checkPaths(c *cobra.Command, paths []string) error {
	candidate := policy.Candidate{NoDefaults: flag(c, "no-defaults")}
	candidate.Ignore, _ = c.Flags().GetStringSlice("ignore")
	for _, path := range paths {
		if filepath.Ext(path) != ".gz" {
			candidate.Paths = append(candidate.Paths, path)
			continue
		}
		files, err := readBundleFiles(path, nil)
		if err != nil {
			return err
		}
		candidate.Files = append(candidate.Files, files...)
	}
	return candidate.Check()
}

// jsonError is an error in the format of OPA's JSON.
type jsonError struct {
	Message  string        `json:"message"`
	Code     string        `json:"code"`
	Location *ast.Location `json:"location,omitempty"`
}

// printErrors prints errors as OPA's check does, and returns them.
func printErrors(out io.Writer, format string, err error) error {
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return errors.Join(err, encoder.Encode(map[string][]jsonError{"errors": jsonErrors(err)}))
	}
	fmt.Fprintln(out, err)
	return err
}

// locatedError matches an error that begins with a file and a line.
var locatedError = regexp.MustCompile(`^(.+?):([0-9]+): (?s:(.*))$`)

func jsonErrors(err error) []jsonError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []jsonError
		for _, err := range joined.Unwrap() {
			all = slices.Concat(all, jsonErrors(err))
		}
		return all
	}
	f := jsonError{Message: err.Error(), Code: "policy_error"}
	if found := locatedError.FindStringSubmatch(f.Message); found != nil {
		row, _ := strconv.Atoi(found[2])
		f.Message, f.Location = found[3], &ast.Location{File: found[1], Row: row, Col: 1}
	}
	return []jsonError{f}
}
