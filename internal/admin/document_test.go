package admin

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestDocumentAndRoutesAreTheSame holds the routes of the API and their query parameters against
// docs/openapi.yaml, both ways.
func TestDocumentAndRoutesAreTheSame(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	documented := make(map[string][]string)
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			documented[method+" "+path] = queryOf(operation)
		}
	}
	for _, route := range routes() {
		want := slices.Sorted(slices.Values(route.query))
		route.pattern = strings.TrimSuffix(route.pattern, "{$}")
		got, ok := documented[route.pattern]
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%s: documented %t with query %q, and it takes %q", route.pattern, ok, got, want)
		}
		delete(documented, route.pattern)
	}
	for pattern := range documented {
		t.Errorf("%s is documented, and there is no such route", pattern)
	}
}

// queryOf is the names of an operation's query parameters, without that of the issuer.
func queryOf(operation *openapi3.Operation) []string {
	var names []string
	for _, p := range operation.Parameters {
		if p.Value.In == "query" && !strings.EqualFold(p.Value.Name, "issuer") {
			names = append(names, p.Value.Name)
		}
	}
	slices.Sort(names)
	return names
}
