package policy

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/rego"
)

// question is a query of a snapshot with its input.
type question[T any] struct {
	// path is the package whose rules are asked for.
	path  string
	query opa.PreparedEvalQuery
	input ast.Value
	// at is what the policy takes for now; the zero time is now.
	at     time.Time
	decode func(*results) T
	// private says that errors must not quote the input.
	private bool
}

// document is what becomes an input document.
type document interface {
	value() (ast.Value, error)
}

// open returns the snapshot in force, and the input for it. It is generic so that the input is not copied to the heap.
func open[D document](ctx context.Context, e *Engine, in D) (*snapshot, ast.Value, error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return nil, nil, err
	}
	input, err := in.value()
	if err != nil {
		return nil, nil, badInput(err)
	}
	return s, input, nil
}

// tokenQuestion and the functions below return the questions that decisions and explanations have in common.
func (e *Engine) tokenQuestion(ctx context.Context, in TokenInput) (*snapshot, question[tokenAnswer], error) {
	s, input, err := open(ctx, e, in)
	if err != nil {
		return nil, question[tokenAnswer]{}, err
	}
	return s, question[tokenAnswer]{path: tokenPackage, query: s.token, input: input, at: in.Time, decode: (*results).token}, nil
}

func (e *Engine) defaultScopesQuestion(ctx context.Context, in TokenInput) (*snapshot, question[[]string], error) {
	s, input, err := open(ctx, e, in)
	if err != nil {
		return nil, question[[]string]{}, err
	}
	return s, question[[]string]{path: tokenPackage, query: s.defaultScopes, input: input, at: in.Time, decode: (*results).defaultScopes}, nil
}

// requestQuestion returns an error for a policy without rules for requests.
func (e *Engine) requestQuestion(ctx context.Context, in RequestInput) (*snapshot, question[RequestDecision], error) {
	s, input, err := open(ctx, e, in)
	if err != nil {
		return nil, question[RequestDecision]{}, err
	}
	if !s.judges {
		return nil, question[RequestDecision]{}, noRule()
	}
	return s, question[RequestDecision]{path: requestPackage, query: s.request, input: input, at: in.Time, decode: (*results).request}, nil
}
