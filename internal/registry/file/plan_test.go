package file

import (
	"strings"
	"testing"
)

// TestFilePlan plans what another file would change, as a store does.
func TestFilePlan(t *testing.T) {
	const file = `
resources:
  book: {description: Books, actions: {read: Read, edit: Edit}}
  invoice: {audience: https://invoices.example.com, actions: {pay: ""}}
clients:
  ci-bot:
    description: "yes"
    grants:
      - {resource: book, identifiers: ["*", "a:b"], actions: [read]}
      - {resource: "*", identifiers: ["secret-*"], actions: ["*"], effect: deny}
  "#odd,id": {}
`
	f, _ := openFile(t, file)
	plan := func(data string, prune bool) string {
		changes, err := f.Plan(t.Context(), "new.yaml", []byte(data), prune)
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
