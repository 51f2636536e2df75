package policy

import (
	"errors"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

var headersRef = ast.MustParseRef("input.request.headers")

// checkHeaderCase finds names of headers that the input never has, because its names are in lower case. A rule that
// uses one denies nothing.
func checkHeaderCase(module *ast.Module) error {
	var errs []error
	check := func(name *ast.Term) {
		text, ok := name.Value.(ast.String)
		if lower := strings.ToLower(string(text)); ok && lower != string(text) {
			errs = append(errs, errorAt(name.Location, "headers have their names in lower case: write %q", lower))
		}
	}
	ast.WalkTerms(module, func(term *ast.Term) bool {
		switch value := term.Value.(type) {
		case ast.Ref:
			if value.HasPrefix(headersRef) && len(value) > len(headersRef) {
				check(value[len(headersRef)])
			}
		case ast.Call:
			checkGet(value, check)
		}
		return false
	})
	ast.WalkExprs(module, func(expr *ast.Expr) bool {
		if terms, ok := expr.Terms.([]*ast.Term); ok {
			checkGet(terms, check)
		}
		return false
	})
	return errors.Join(errs...)
}

// checkGet checks the name in object.get(input.request.headers, name, …).
func checkGet(call []*ast.Term, check func(name *ast.Term)) {
	if len(call) < 3 || call[0].String() != "object.get" {
		return
	}
	if ref, ok := call[1].Value.(ast.Ref); ok && ref.Equal(headersRef) {
		check(call[2])
	}
}
