package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// An error about a rule of the storage alone has the line of the file.
func TestApplySaysWhere(t *testing.T) {
	three := ""
	for n := range 3 {
		three += fmt.Sprintf("{id: s%d, sha256: %s},", n, registry.HashSecret(fmt.Sprint(n)+"x"))
	}
	for data, want := range map[string]string{
		"clients:\n  a: {}\n  b: {secrets: [" + three + "]}": `registry.yaml:3:3: client "b": a client may have 2 secrets that work at a time, not 3`,
		"clients:\n  a: {}\n  .: {}":                         `registry.yaml:3:3: client ".": a client's id: "." and ".."`,
		"clients:\n  " + strings.Repeat("A", 128) + ": {}":   `registry.yaml:2:3: client (not shown): the id is too long for the storage: a capital counts 2 there`,
	} {
		_, err := newStore(newMemory()).Apply(ctx, "registry.yaml", []byte(data), store.ApplyOptions{})
		var invalid *registry.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v; it should say %s", err, want)
		}
	}
}
