package opacli

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/loader/extension"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// ignoreMarks makes OPA's loader ignore a byte order mark in JSON, as the server does. It is for a process that runs a command,
// and not for the server: OPA has one handler for all loaders, and calls it for JSON that it cannot read.
func ignoreMarks() {
	extension.RegisterExtension(".json", func(content []byte, value any) error {
		decoder := util.NewJSONDecoder(bytes.NewReader(files.WithoutMark(content)))
		if err := decoder.Decode(value); err != nil {
			return err
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return errors.New("something follows the JSON value")
		}
		return nil
	})
}

// loadCapabilities loads the capabilities of a file or a version of OPA. By default, they are those of the server.
func loadCapabilities(named string) (*ast.Capabilities, error) {
	if named == "" {
		text, err := policy.CapabilitiesJSON()
		if err != nil {
			return nil, err
		}
		return ast.LoadCapabilitiesJSON(bytes.NewReader(text))
	}
	c, err := ast.LoadCapabilitiesFile(named)
	if err != nil {
		c, err = ast.LoadCapabilitiesVersion(named)
	}
	return c, err
}

// ignoring returns the filter of --ignore.
func ignoring(patterns []string) loader.Filter {
	return func(path string, info fs.FileInfo, depth int) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return loader.GlobExcludeName(p, 1)(path, info, depth) })
	}
}
