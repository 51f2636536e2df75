package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

var signs = map[string]string{"create": "+", "update": "~", "delete": "-"}

func (s *session) printChanges(changes []api.Change) {
	if len(changes) == 0 {
		s.printf("no changes\n")
	}
	for _, c := range changes {
		s.printChange(c)
		if c.Action != "delete" {
			s.printFields(c.Before, c.After)
		}
	}
}

func (s *session) printChange(c api.Change) {
	s.printf("%s %s %s\n", signs[c.Action], c.Kind, printable(c.ID))
}

// printSummary prints how many entries of each kind change.
func (s *session) printSummary(changes []api.Change, dryRun bool) {
	var parts []string
	for _, action := range []string{"create", "update", "delete"} {
		for _, kind := range []string{"resource", "client"} {
			n := 0
			for _, c := range changes {
				if c.Action == action && c.Kind == kind {
					n++
				}
			}
			if n > 0 {
				parts = append(parts, fmt.Sprintf("%s %s", counted(n, kind), pastOf(action, dryRun)))
			}
		}
	}
	if len(parts) > 0 {
		s.printf("\n%s\n", strings.Join(parts, ", "))
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func pastOf(action string, dryRun bool) string {
	if dryRun {
		return "to " + action
	}
	return strings.TrimSuffix(action, "e") + "ed"
}

// printFields prints the fields that differ. Of a new entry, it prints those that are not empty. Grants are printed one by
// one.
func (s *session) printFields(before, after any) {
	was, _ := before.(map[string]any)
	is, _ := after.(map[string]any)
	names := make(map[string]any)
	maps.Copy(names, was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, now := compactJSON(was[name]), compactJSON(is[name])
		switch {
		case old == now || was == nil && (name == "id" || name == "code" || slices.Contains([]string{`""`, "[]", "{}", "false"}, now)):
		case name == "grants":
			s.printGrantChanges(grantLines(was[name]), grantLines(is[name]))
		case was == nil:
			s.printf("    %s: %s\n", printable(name), printable(now))
		default:
			s.printf("    %s: %s -> %s\n", printable(name), printable(old), printable(now))
		}
	}
}

func (s *session) printGrantChanges(before, after []string) {
	same := true
	show := func(sign string, grants, others []string) {
		for _, g := range grants {
			if !slices.Contains(others, g) {
				same = false
				s.printf("    grants: %s %s\n", sign, printable(g))
			}
		}
	}
	show("-", before, after)
	show("+", after, before)
	if same {
		s.printf("    grants: the same, written in another way\n")
	}
}

// grantLines returns the single grants of a client's field, each as an effect and a scope, sorted and without repetitions.
func grantLines(field any) []string {
	data, err := json.Marshal(field)
	var grants []api.Grant
	if err != nil || json.Unmarshal(data, &grants) != nil {
		return nil
	}
	var lines []string
	for _, g := range grants {
		for _, identifier := range g.Identifiers {
			for _, action := range g.Actions {
				lines = append(lines, g.Effect+" "+g.Resource+":"+identifier+":"+action)
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
