package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

var updateSchemas = flag.Bool("update", false, "write the schemas of rego/schemas again")

// TestSchemas holds the schemas that ship against the Go types that they describe:
//
//	go test ./policy -run TestSchemas -update
func TestSchemas(t *testing.T) {
	for name, input := range map[string]struct {
		title string
		of    any
	}{
		"token":    {"The input of a token decision", TokenInput{}},
		"request":  {"The input of a decision on a proxied request", RequestInput{}},
		"identity": {"The input of an identity decision", IdentityInput{}},
	} {
		t.Run(name, func(t *testing.T) {
			want := schemaOf(t, input.title, input.of)
			file := filepath.Join("..", "rego", "schemas", name, "input.json")
			if *updateSchemas {
				if err := os.WriteFile(file, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what the Go types say (%v): go test ./policy -run TestSchemas -update", file, err)
			}
		})
	}
}

// goName begins a comment as Go has it, where a schema has only what follows.
var goName = regexp.MustCompile(`^[A-Z][A-Za-z]* (is|are) `)

func schemaOf(t *testing.T, title string, input any) []byte {
	t.Helper()
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, Mapper: mapSchema}
	for _, folder := range []string{".", "../internal/scope"} {
		if err := r.AddGoComments("github.com/caddy-m2m/caddy-m2m/policy", folder, jsonschema.WithFullComment()); err != nil {
			t.Fatal(err)
		}
	}
	schema := r.Reflect(input)
	schema.Version = "http://json-schema.org/draft-07/schema#"
	schema.Title, schema.Description = title, ""
	tidy(schema)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// grant is how a grant stands in JSON.
type grant struct {
	// Resource is a resource's code, or "*".
	Resource string `json:"resource"`
	// Identifiers are identifiers, prefixes that end in "*", or "*".
	Identifiers []string `json:"identifiers"`
	// Actions are the resource's actions, or "*".
	Actions []string `json:"actions"`
	// Effect is allow, or deny for a grant that refuses what it overlaps.
	Effect string `json:"effect" jsonschema:"enum=allow,enum=deny"`
}

func mapSchema(t reflect.Type) *jsonschema.Schema {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true}
	if t == reflect.TypeFor[scope.Grant]() {
		s := r.ReflectFromType(reflect.TypeFor[grant]())
		s.Version = ""
		return s
	}
	// OPA knows objects of any names only where it knows nothing of their members
	if t.Kind() == reflect.Map {
		return &jsonschema.Schema{Type: "object"}
	}
	return nil
}

func tidy(s *jsonschema.Schema) {
	s.Description = goName.ReplaceAllString(s.Description, "")
	if s.Description != "" {
		s.Description = string(bytes.ToUpper([]byte(s.Description[:1]))) + s.Description[1:]
	}
	if s.Items != nil {
		tidy(s.Items)
	}
	if s.Properties == nil {
		return
	}
	for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
		tidy(pair.Value)
	}
}
