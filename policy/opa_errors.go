package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// LoadError is one thing that is wrong with a policy, at a place in a file. [Load] and [Candidate.Check] return several
// of them joined, beside errors without a place.
type LoadError struct {
	File         string
	Line, Column int
	// Code is OPA's name for the kind of the error, such as rego_parse_error, or "".
	Code    string
	Message string
	// Source shows where the error is: lines of the file, a caret below them, and what OPA expected there. It may be
	// empty.
	Source []string
}

// Error returns the error on one line, as "file:line: message".
func (e *LoadError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message) }

// errorAt returns an error at a place, with the line that is there.
func errorAt(location *ast.Location, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if location == nil || location.File == "" {
		return err
	}
	located := &LoadError{File: location.File, Line: max(1, location.Row), Column: location.Col, Message: err.Error()}
	if line, _, _ := strings.Cut(string(location.Text), "\n"); strings.TrimSpace(line) != "" {
		located.Source = []string{strings.TrimRight(line, " \t\r"), "^"}
	}
	return located
}

// explainLoad returns OPA's errors of a policy as [LoadError] values.
func explainLoad(err error) error {
	var several ast.Errors
	var one *ast.Error
	switch {
	case errors.As(err, &several):
	case errors.As(err, &one):
		several = ast.Errors{one}
	default:
		return err
	}
	explained := make([]error, len(several))
	for i, one := range several {
		explained[i] = errorAt(one.Location, "%s", explainOne(one))
		var located *LoadError
		if !errors.As(explained[i], &located) {
			continue
		}
		located.Code = one.Code
		if one.Details != nil {
			located.Source = one.Details.Lines()
		}
	}
	return errors.Join(explained...)
}

// at returns a position as it begins an error, or "" if it is not known.
func at(location *ast.Location) string {
	if location == nil || location.File == "" {
		return ""
	}
	return position(location) + ": "
}

func position(location *ast.Location) string {
	return fmt.Sprintf("%s:%d", location.File, max(1, location.Row)) // an empty module has no row
}

// generatedIndex matches the index that OPA generates for the collection in "some x in collection".
var generatedIndex = regexp.MustCompile(`\[__local\d+__\]`)

func explainOne(err *ast.Error) string {
	message := generatedIndex.ReplaceAllString(err.Message, "")
	if name, ok := strings.CutPrefix(err.Message, "undefined function "); ok {
		if why, gone := unavailable[name]; gone {
			return fmt.Sprintf("%s is not available: %s", name, why)
		}
	}
	if detail, ok := err.Details.(*ast.RefErrInvalidDetail); ok && detail.Pos < len(detail.Ref) {
		return message + didYouMean(detail.Ref[detail.Pos].Value, detail.OneOf)
	}
	return message
}

// didYouMean names the key that was meant, if one is near.
func didYouMean(wrong ast.Value, right []ast.Value) string {
	text, ok := wrong.(ast.String)
	if !ok {
		return ""
	}
	names := func(yield func(string) bool) {
		for _, value := range right {
			if name, ok := value.(ast.String); ok && !yield(string(name)) {
				return
			}
		}
	}
	nearest := suggest.Nearest(string(text), names)
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", nearest)
}

// explainEval returns the kind of OPA's error of an evaluation, and names the rule. The text of a builtin function may
// quote the input, so it is left out if the input is private.
func (s *snapshot) explainEval(err error, private bool) *Error {
	var failure *topdown.Error
	if !errors.As(err, &failure) {
		if private {
			err = errors.New("evaluation failed")
		}
		return &Error{Eval, err}
	}
	kind := Eval
	switch failure.Code {
	case topdown.CancelErr:
		return &Error{Timeout, errors.New("evaluation was ended")}
	case topdown.ConflictErr:
		kind = Conflict
	}
	if private {
		failure = &topdown.Error{Location: failure.Location, Message: "evaluation failed"}
	}
	text := strings.Join(strings.Fields(failure.Message), " ")
	rule := s.rules.prefix(failure.Location)
	if at := strings.Index(text, "produced conflicting values"); at > 0 && kind == Conflict && rule != "" {
		text = text[at:] // OPA has named the rule before it
	}
	const enough = 300
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "") + "…"
	}
	return &Error{kind, fmt.Errorf("%s%s%s", at(failure.Location), rule, text)}
}
