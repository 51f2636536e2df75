package policy

import (
	"fmt"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
	shipped "github.com/caddy-m2m/caddy-m2m/rego"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// shippedFolder begins the names of shipped files in errors. An author's file cannot have such a name, because paths
// are cleaned.
const shippedFolder = "shipped://"

func isShipped(file string) bool { return strings.HasPrefix(file, shippedFolder) }

// shippedFiles returns the modules that are always loaded, and the shipped policy unless it is left out.
func shippedFiles(noDefaults bool) ([]files.File, error) {
	names := []string{shipped.Contract, shipped.Request, shipped.Identity, shipped.Log, shipped.Grants, shipped.Scope}
	if !noDefaults {
		names = append(names, shipped.Token)
	}
	found := make([]files.File, len(names))
	for i, name := range names {
		content, err := shipped.Files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading shipped policy: %w", err)
		}
		found[i] = files.File{Name: shippedFolder + name, Path: shippedFolder + name, Content: content}
	}
	return found, nil
}

// schemas returns the schemas that the metadata of the shipped modules refers to. There they are bound to packages, so
// that they apply to authors' rules in those packages, and in no others.
func schemas() (*ast.SchemaSet, error) {
	set := ast.NewSchemaSet()
	for name, file := range map[string]string{
		"schema.token.input": shipped.TokenInput, "schema.request.input": shipped.RequestInput, "schema.identity.input": shipped.IdentityInput,
	} {
		content, err := shipped.Files.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading input schema: %w", err)
		}
		var schema any
		if err := util.UnmarshalJSON(content, &schema); err != nil {
			return nil, fmt.Errorf("parsing input schema: %w", err)
		}
		set.Put(ast.MustParseRef(name), schema)
	}
	return set, nil
}
