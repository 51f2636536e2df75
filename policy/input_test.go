package policy

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestInputsAreTheirJSON compares the input documents, which are built by hand, with the JSON of their Go types.
func TestInputsAreTheirJSON(t *testing.T) {
	var token TokenInput
	var request RequestInput
	var identity IdentityInput
	fill(reflect.ValueOf(&token).Elem())
	fill(reflect.ValueOf(&request).Elem())
	fill(reflect.ValueOf(&identity).Elem())
	for name, input := range map[string]interface{ value() (ast.Value, error) }{"token": token, "request": request, "identity": identity} {
		value, err := input.value()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ast.JSON(value)
		if err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal([]byte(asJSON(t, input)), &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %v\nwant %v, %v", name, got, want, err)
		}
	}
}

// fill gives every member of an input a value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf("x"))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		fill(element)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x"), element)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && field.Tag.Get("json") != "-" {
				fill(v.Field(i))
			}
		}
	}
}
