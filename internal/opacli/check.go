package opacli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// asCheck runs the server's checks before OPA's check, which also checks tests.
func asCheck(c *cobra.Command) {
	if strict := c.Flags().Lookup("strict"); strict != nil && strict.Value.Set("true") == nil {
		strict.DefValue = "true"
	}
	c.Long += `

What the server would refuse is refused, whatever the flags say: besides errors of Rego
these are rules that do not fit the contract, misspelt ones among them, packages that
are not for policies, and data in which a value would be lost. Tests, which the server
leaves out, are checked by OPA alone.`
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
	Message  string    `json:"message"`
	Code     string    `json:"code"`
	Location *location `json:"location,omitempty"`
}

type location struct {
	File string `json:"file"`
	Row  int    `json:"row"`
	Col  int    `json:"col"`
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

// place matches the place at the beginning of an error.
var place = regexp.MustCompile(`^(.+?):([0-9]+): (?s:(.*))$`)

func jsonErrors(err error) []jsonError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []jsonError
		for _, err := range joined.Unwrap() {
			all = slices.Concat(all, jsonErrors(err))
		}
		return all
	}
	f := jsonError{Message: err.Error(), Code: "policy_error"}
	if found := place.FindStringSubmatch(f.Message); found != nil {
		row, _ := strconv.Atoi(found[2])
		f.Message, f.Location = found[3], &location{File: found[1], Row: row, Col: 1}
	}
	return []jsonError{f}
}
