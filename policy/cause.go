package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Cause is a rule that gave a value to a rule of the contract.
type Cause struct {
	// Rule is the rule of the contract: granted, rejected and so on.
	Rule string `json:"rule"`
	// Reason is the reason that the rule gave, where it gives one.
	Reason string `json:"reason,omitempty"`
	// File and Line say where the rule begins. They are empty if it is not known which rule it was. Shipped rules have
	// names such as shipped://token.rego.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Text is the rule's first line.
	Text string `json:"text,omitempty"`
}

// causes returns the rules that gave a value, by file and line. If none was seen, the only cause has no place.
func (w *witness) causes(name string, value ast.Value, reason string) []Cause {
	var causes []Cause
	for _, s := range w.seen[sight{name, value.Hash()}] {
		if s.value.Compare(value) == 0 {
			causes = append(causes, causeOf(name, reason, s.rule))
		}
	}
	if causes == nil {
		return []Cause{{Rule: name, Reason: reason}}
	}
	slices.SortFunc(causes, func(a, b Cause) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return slices.Compact(causes) // a rule with several bodies is several rules
}

func causeOf(name, reason string, rule *ast.Rule) Cause {
	cause := Cause{Rule: name, Reason: reason}
	if location := rule.Location; location != nil {
		cause.File, cause.Line = location.File, location.Row
		cause.Text, _, _ = strings.Cut(string(location.Text), "\n")
	}
	return cause
}
