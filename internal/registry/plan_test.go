package registry_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// What a file would change in another is planned as it is for a store.
func TestFilePlan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := registry.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plan := func(data string, prune bool) string {
		changes, err := f.Plan(ctx, "new.yaml", []byte(data), prune)
		if err != nil {
			return err.Error()
		}
		var done []string
		for _, c := range changes {
			done = append(done, c.Action()+" "+c.ID)
		}
		return strings.Join(done, ", ")
	}
	for data, want := range map[string]string{
		file:                     "",
		"clients: {ci-bot: {}}":  "update ci-bot",
		"clients: {new: {}}":     "create new",
		"clients: {new: {x: 1}}": `new.yaml:1:17: unknown field "x" in a client: known are attributes, audiences, description, disabled, expires, grants, introspects, networks, secrets, token_ttl`,
		"resources: {book: {actions: {edit: ''}}}": `grants still name action "read" of "book": of ci-bot`,
	} {
		if got := plan(data, false); got != want {
			t.Errorf("%s: %s; want %s", data, got, want)
		}
	}
	if got := plan("clients: {ci-bot: {}}", true); got != "delete book, delete invoice, update ci-bot, delete #odd,id" {
		t.Errorf("pruning: %s", got)
	}
}

// What a storage refuses beside what files do is told with its line.
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
		_, err := newStore(newMemory()).Apply(ctx, "registry.yaml", []byte(data), registry.ApplyOptions{})
		var invalid *registry.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v; it should say %s", err, want)
		}
	}
}
