package opacli

import (
	"bytes"
	"io/fs"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// loadCapabilities loads the capabilities that --capabilities names: a file or a version of OPA. Default: those of the
// server.
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
		for _, pattern := range patterns {
			if loader.GlobExcludeName(pattern, 1)(path, info, depth) {
				return true
			}
		}
		return false
	}
}
