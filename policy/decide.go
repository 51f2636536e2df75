package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// DecideToken decides which of the requested scopes a token may have. Whatever the policy does, it returns within about
// Config.Timeout, or when ctx ends. Every error is an [*Error]. Callers share the slices and maps of a decision, because it may
// come from the cache, and must not change them.
func (e *Engine) DecideToken(ctx context.Context, in TokenInput) (TokenDecision, error) {
	return decideToken(ctx, e, tokenQuery, &in, (*copier).token, func(s *snapshot) (TokenDecision, error) {
		answer, err := s.answerToken(ctx, e, in)
		if err != nil {
			return TokenDecision{}, err
		}
		return answer.decide(in.Scopes, s), nil
	})
}

// DefaultScopes returns the scopes that a request without a scope asks for, sorted. There may be none. They are
// well-formed, and only requested: DecideToken still decides on them. Errors and sharing are as for DecideToken.
func (e *Engine) DefaultScopes(ctx context.Context, in TokenInput) ([]string, error) {
	return decideToken(ctx, e, defaultScopesQuery, &in, (*copier).texts, func(s *snapshot) ([]string, error) {
		q, err := defaultScopesQuestion(s, in)
		if err != nil {
			return nil, err
		}
		return decideOn(ctx, e, q)
	})
}

// DecideRequest decides whether a proxied request is let through, and which headers the upstream gets. Time, errors and
// sharing are as for DecideToken. A policy without rules for requests is an error, too, because its caller expects some.
func (e *Engine) DecideRequest(ctx context.Context, in RequestInput) (RequestDecision, error) {
	return decideRequest(ctx, e, &in, func(s *snapshot) (RequestDecision, error) {
		q, err := requestQuestion(s, in)
		if err != nil {
			return RequestDecision{}, err
		}
		d, err := decideOn(ctx, e, q)
		if err != nil {
			return RequestDecision{}, err
		}
		d.Revision, d.from = s.revision, s
		return d, nil
	})
}

var errNoRule = errors.New("it has no rule of package m2m.request, so every request would pass")

// RequireRequests tells the engine that it will decide on requests. It returns an error if the policy in force has no
// rule of package m2m.request. From now on, a policy without one is not put into force. A bundle that is not there yet
// is checked when it comes.
func (e *Engine) RequireRequests() error {
	e.requests.Store(true)
	if s := e.current.Load(); s != nil && !s.judges {
		return errNoRule
	}
	return nil
}

// Issues reports whether authors have rules of package m2m.token or m2m.identity in the policy in force. Only issuers evaluate
// these.
func (e *Engine) Issues() bool {
	s := e.current.Load()
	return s != nil && s.issues
}

// question asks a snapshot for the rules of a query.
type question[T any] struct {
	snapshot *snapshot
	query    *query
	input    ast.Value
	known    known
	// at is the time that the policy sees; the zero time is the current time.
	at     time.Time
	decode func(*results) T
	// private says that errors must not quote the input.
	private bool
}

// document is an input of decisions.
type document interface {
	value() (ast.Value, error)
	known(value ast.Value) known
}

// newQuestion returns a question to a policy. It is generic so that the input is not copied to the heap.
func newQuestion[D document, T any](
	s *snapshot, in D, at time.Time, query *query, decode func(*results) T,
) (question[T], error) {
	input, err := in.value()
	if err != nil { // such as an attribute of a type that JSON does not have
		return question[T]{}, &Error{Eval, fmt.Errorf("building the input: %w", err)}
	}
	return question[T]{snapshot: s, query: query, input: input, known: in.known(input), at: at, decode: decode}, nil
}

// tokenQuestion and the functions below return the questions that decisions and explanations have in common.
func tokenQuestion(s *snapshot, in TokenInput) (question[tokenAnswer], error) {
	return newQuestion(s, in, in.Time, tokenQuery, (*results).token)
}

func defaultScopesQuestion(s *snapshot, in TokenInput) (question[[]string], error) {
	return newQuestion(s, in, in.Time, defaultScopesQuery, (*results).defaultScopes)
}

// requestQuestion returns an error for a policy without rules for requests.
func requestQuestion(s *snapshot, in RequestInput) (question[RequestDecision], error) {
	q, err := newQuestion(s, in, in.Time, requestQuery, (*results).request)
	if err == nil && !s.judges {
		err = &Error{NoRule, errNoRule}
	}
	return q, err
}
