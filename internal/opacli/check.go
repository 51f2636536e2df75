package opacli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
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
		if !isBundle(path) {
			candidate.Paths = append(candidate.Paths, path)
			continue
		}
		files, err := readVisibleFiles(path, nil)
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
	Source   []string      `json:"source,omitempty"`
}

// printErrors prints errors as OPA's check does, and returns them.
func printErrors(out io.Writer, format string, err error) error {
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		all := []jsonError{}
		for _, err := range flatten(err) {
			all = append(all, asJSON(err))
		}
		return errors.Join(err, encoder.Encode(map[string][]jsonError{"errors": all}))
	}
	for _, err := range flatten(err) {
		fmt.Fprintln(out, err)
		if located := (*policy.LoadError)(nil); errors.As(err, &located) {
			for _, line := range located.Source {
				fmt.Fprintf(out, "\t%s\n", line)
			}
		}
	}
	return err
}

// flatten returns the errors that are joined in one.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, flatten(err)...)
	}
	return all
}

// locatedError matches an error of a data file, which begins with a file and a line.
var locatedError = regexp.MustCompile(`^(.+?):([0-9]+): (?s:(.*))$`)

func asJSON(err error) jsonError {
	located := (*policy.LoadError)(nil)
	if errors.As(err, &located) {
		at := &ast.Location{File: located.File, Row: located.Line, Col: max(1, located.Column)}
		return jsonError{located.Message, cmp.Or(located.Code, ownCode), at, located.Source}
	}
	if found := locatedError.FindStringSubmatch(err.Error()); found != nil {
		row, _ := strconv.Atoi(found[2])
		return jsonError{Message: found[3], Code: ownCode, Location: &ast.Location{File: found[1], Row: row, Col: 1}}
	}
	return jsonError{Message: err.Error(), Code: ownCode}
}

// ownCode is the code of errors that OPA does not have.
const ownCode = "policy_error"
