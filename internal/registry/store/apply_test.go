package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

const bookFile = `
resources:
  book: {description: Books, actions: {read: Read, edit: Edit}, attributes: {n: 1.50, big: 12345678901234567890}}
  invoice: {audience: https://invoices.example.com, actions: {pay: ""}}
clients:
  ci-bot:
    description: "yes"
    attributes: {team: "007", nested: {list: [1, true, null, "x: y"]}}
    token_ttl: 5m
    secrets:
      - {id: s1, sha256: 5ar3LoRui6xZorZw9C24RP6v0fqqs6BKO448_mgUVm0, expires: 2037-01-01T00:00:00Z}
    grants:
      - {resource: book, identifiers: ["*", "a:b"], actions: [read]}
      - {resource: "*", identifiers: ["secret-*"], actions: ["*"], effect: deny}
  "#odd: id": {}
`

// file is bookFile with ids that are valid.
var file = strings.ReplaceAll(bookFile, "#odd: id", "#odd,id")

func apply(t *testing.T, s *store.Store, data string, o store.ApplyOptions) string {
	t.Helper()
	changes, err := s.Apply(ctx, "registry.yaml", []byte(data), o)
	if err != nil {
		t.Fatalf("applying: %v", err)
	}
	return changesOf(changes)
}

func changesOf(changes []registry.Change) string {
	var done []string
	for _, c := range changes {
		done = append(done, c.Action()+" "+c.ID)
	}
	return strings.Join(done, ", ")
}

// all iterates over the clients of a registry.
func all(t *testing.T, r registry.Registry) iter.Seq2[*registry.Client, error] {
	t.Helper()
	ids, err := r.ClientIDs(ctx, "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(*registry.Client, error) bool) {
		for _, id := range ids {
			if !yield(r.Client(ctx, id)) {
				return
			}
		}
	}
}

func export(t *testing.T, r registry.Registry, format string) string {
	t.Helper()
	resources, err := r.Resources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := registry.Export(&out, format, resources, all(t, r)); err != nil {
		t.Fatalf("exporting: %v", err)
	}
	return out.String()
}

func TestApplyToAnEmptyStore(t *testing.T) {
	s := newStore(newMemory())
	const want = "create book, create invoice, create #odd,id, create ci-bot"
	if got := apply(t, s, file, store.ApplyOptions{DryRun: true}); got != want {
		t.Errorf("a dry run: %s", got)
	}
	if _, err := s.Client(ctx, "ci-bot"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a dry run has made the client: %v", err)
	}
	if got := apply(t, s, file, store.ApplyOptions{}); got != want {
		t.Errorf("applied: %s", got)
	}
	if got := apply(t, s, file, store.ApplyOptions{Prune: true}); got != "" {
		t.Errorf("applied twice: %s", got)
	}
}

// The export of a store, applied to another store, makes both the same. Parse reads it as the file that was applied.
func TestExportAndApply(t *testing.T) {
	for _, format := range []string{"json", "yaml"} {
		t.Run(format, func(t *testing.T) {
			first, second := newStore(newMemory()), newStore(newMemory())
			apply(t, first, file, store.ApplyOptions{})
			text := export(t, first, format)
			if _, err := second.Apply(ctx, "registry."+format, []byte(text), store.ApplyOptions{}); err != nil {
				t.Fatalf("applying what was exported: %v\n%s", err, text)
			}
			if again := export(t, second, format); again != text {
				t.Errorf("the second store exports\n%s\nand the first\n%s", again, text)
			}
			parsed, err := registry.Parse("registry."+format, []byte(text))
			if err != nil {
				t.Fatalf("parsing what was exported: %v\n%s", err, text)
			}
			if again := export(t, parsed, format); again != text {
				t.Errorf("the file means\n%s\nand is\n%s", again, text)
			}
		})
	}
}

func TestExportOfNothing(t *testing.T) {
	for _, format := range []string{"json", "yaml"} {
		text := export(t, newStore(newMemory()), format)
		if _, err := registry.Parse("registry."+format, []byte(text)); err != nil {
			t.Errorf("%s: %v\n%s", format, err, text)
		}
	}
}

func TestApplyOntoWhatIsThere(t *testing.T) {
	const noSecrets = `{"clients": {"ci-bot": {"grants": [{"resource": "book", "identifiers": ["*"], "actions": ["edit"]}]}}}`
	for name, c := range map[string]struct {
		data    string
		options store.ApplyOptions
		want    string
		secrets int
	}{
		"a client of a file without secrets keeps them": {noSecrets, store.ApplyOptions{}, "update ci-bot", 1},
		"an empty list of them removes them": {
			`{"clients": {"ci-bot": {"secrets": []}}}`, store.ApplyOptions{}, "update ci-bot", 0,
		},
		"a grant on a resource that is there": {
			`{"clients": {"new": {"grants": [{"resource": "invoice", "identifiers": ["*"], "actions": ["pay"]}]}}}`,
			store.ApplyOptions{}, "create new", 1,
		},
		"pruning": {
			`{"resources": {"book": {"actions": {"read": ""}}}, "clients": {"ci-bot": {}}}`,
			store.ApplyOptions{Prune: true}, "update book, delete invoice, update ci-bot, delete #odd,id", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(newMemory())
			apply(t, s, file, store.ApplyOptions{})
			if got := apply(t, s, c.data, c.options); got != c.want {
				t.Errorf("changes: %s; want %s", got, c.want)
			}
			client, err := s.Client(ctx, "ci-bot")
			if err != nil || len(client.Secrets) != c.secrets {
				t.Errorf("the client is %+v, %v", client, err)
			}
		})
	}
}

// A storage that fails half-way leaves some changes made. The error says which, and another Apply makes the rest.
func TestApplyFailsHalfWay(t *testing.T) {
	m := newMemory()
	s := newStore(m)
	data := `{"resources": {"film": {"actions": {"see": ""}}}, "clients": {"a": {}, "b": {}, "c": {}}}`
	m.failFrom("store", "clients/", 3)
	var progress []string
	report := func(what string) func(int, int) {
		return func(done, total int) { progress = append(progress, fmt.Sprint(what, " ", done, "/", total)) }
	}
	options := store.ApplyOptions{Compared: report("compared"), Written: report("written")}
	_, err := s.Apply(ctx, "registry.json", []byte(data), options)
	var partly *store.PartlyAppliedError
	if !errors.As(err, &partly) || !errors.Is(err, registry.ErrUnavailable) {
		t.Fatalf("the error is %v", err)
	}
	if got := changesOf(partly.Written); got != "create film, create a, create b" || partly.Total != 4 {
		t.Errorf("written are %s of %d", got, partly.Total)
	}
	want := "compared 0/3, compared 1/3, compared 2/3, written 1/4, written 2/4, written 3/4"
	if got := strings.Join(progress, ", "); got != want {
		t.Errorf("progress: %s; want %s", got, want)
	}
	m.failing("nothing", "")
	if got := apply(t, s, data, store.ApplyOptions{}); got != "create c" {
		t.Errorf("again: %s", got)
	}
	m.failing("store", "clients/")
	if _, err := s.Apply(ctx, "registry.json", []byte(`{"clients": {"d": {}}}`), store.ApplyOptions{}); errors.As(err, &partly) || err == nil {
		t.Errorf("nothing is written, and the error is %v", err)
	}
}

func TestApplyRefusesAndChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		data    string
		options store.ApplyOptions
		want    string
	}{
		"unknown field":     {"clients:\n  x: {token_tll: 5m}", store.ApplyOptions{}, `registry.yaml:2:7: unknown field "token_tll"`},
		"nothing, pruning":  {"", store.ApplyOptions{Prune: true}, "registry.yaml:1: the file is empty"},
		"comments, pruning": {"# none\n", store.ApplyOptions{Prune: true}, "the file is empty"},
		"not a file":        {"{", store.ApplyOptions{}, "registry.yaml:1"},
		"a resource that others use": {
			"resources:\n  book: {actions: {edit: E}}", store.ApplyOptions{}, `action "read" of "book": of ci-bot`,
		},
		"a grant on what is pruned": {
			"clients:\n  x:\n    grants: [{resource: book, identifiers: ['*'], actions: [read]}]",
			store.ApplyOptions{Prune: true}, `registry.yaml:3:25: unknown resource "book"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(newMemory())
			apply(t, s, file, store.ApplyOptions{})
			before := export(t, s, "json")
			_, err := s.Apply(ctx, "registry.yaml", []byte(c.data), c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v; it should say %s", err, c.want)
			}
			if after := export(t, s, "json"); after != before {
				t.Errorf("it is now\n%s\nand was\n%s", after, before)
			}
		})
	}
}
