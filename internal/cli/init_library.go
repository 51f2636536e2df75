package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	shipped "github.com/caddy-m2m/caddy-m2m/rego"
)

// libraryFolder is the folder of a policy that holds the shipped modules for other programs. The server and "caddy opa"
// leave names out that begin with a dot, and have modules of their own.
const libraryFolder = ".m2m"

const libraryHeader = `# A copy for opa, Regal and editors, by "caddy m2m init". The server does not read it.

`

// namedSchema matches the schema of the input in the metadata of a module, which OPA finds only with --schema.
var namedSchema = regexp.MustCompile(`(?m)^(# +- input: )schema\.(\w+)\.input$`)

// writeLibrary writes the shipped modules into a folder of a policy.
func writeLibrary(policy string) error {
	names, err := fs.Glob(shipped.Files, "*.rego")
	if err != nil {
		return fmt.Errorf("reading shipped policy: %w", err)
	}
	folder := filepath.Join(policy, libraryFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		module, err := standalone(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), module, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// standalone returns a shipped module with the schema of its input in it.
func standalone(name string) ([]byte, error) {
	module, err := shipped.Files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading shipped policy: %w", err)
	}
	named := namedSchema.FindSubmatch(module)
	if named == nil {
		return append([]byte(libraryHeader), module...), nil
	}
	schema, err := shipped.Files.ReadFile("schemas/" + string(named[2]) + "/input.json")
	if err != nil {
		return nil, fmt.Errorf("reading input schema: %w", err)
	}
	var line bytes.Buffer // JSON on one line is YAML
	if err := json.Compact(&line, schema); err != nil {
		return nil, fmt.Errorf("reading input schema: %w", err)
	}
	inline := append(append([]byte{}, named[1]...), line.Bytes()...)
	return append([]byte(libraryHeader), bytes.Replace(module, named[0], inline, 1)...), nil
}
