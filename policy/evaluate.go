package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

type answer[T any] struct {
	value T
	err   *Error
}

// ask evaluates a question on the caller's goroutine if the policy is prompt, and else on a worker. When the time is up it abandons the worker and its tracers, because some
// builtin functions ignore cancellation. What outlives the call does not refer to the caller's data.
func ask[T any](ctx context.Context, e *Engine, q question[T], timeout time.Duration, tracers ...topdown.QueryTracer) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, &Error{Canceled, err}
	}
	if len(tracers) == 0 && q.snapshot.prepared[q.query].isPrompt {
		return askHere(ctx, e, q, timeout)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	cancel := topdown.NewCancel()
	answers := make(chan answer[T], 1)
	job := func() { answers <- evaluate(q, cancel, tracers...) }
	if !submit(e.workers, job, timer.C, ctx.Done()) {
		return none, giveUp(ctx, Overloaded, "no free worker within %v", timeout)
	}
	a, ok := await(answers, timer.C, ctx.Done())
	if !ok {
		cancel.Cancel()
		return none, giveUp(ctx, Timeout, "no decision within %v", timeout)
	}
	if a.err != nil {
		return none, a.err
	}
	return a.value, nil
}

// await waits for an answer. An answer that is there counts even if the time is up as well: on a busy machine the
// caller may find both.
func await[T, U any](answers <-chan T, giveUp <-chan U, done <-chan struct{}) (answer T, ok bool) {
	select {
	case answer = <-answers:
		return answer, true
	case <-giveUp:
	case <-done:
	}
	select {
	case answer = <-answers:
		return answer, true
	default:
		return answer, false
	}
}

// giveUp distinguishes a caller that gave up from a decision that took too long.
func giveUp(ctx context.Context, kind Kind, format string, timeout time.Duration) *Error {
	if err := ctx.Err(); err != nil {
		return &Error{Canceled, err}
	}
	return &Error{kind, fmt.Errorf(format, timeout)}
}

// evaluate evaluates and decodes. A panic in the evaluation does not end the process.
func evaluate[T any](q question[T], cancel topdown.Cancel, tracers ...topdown.QueryTracer) (a answer[T]) {
	defer func() {
		switch r := recover(); {
		case r == nil:
		case q.private:
			a.err = &Error{Eval, errors.New("evaluation panicked")}
		default:
			a.err = &Error{Eval, fmt.Errorf("evaluation panicked: %v", r)}
		}
	}()
	terms, err := eval(q.snapshot.prepared[q.query], evaluation{
		input: ast.NewTerm(q.input), cancel: cancel, at: q.at, tracers: tracers, known: q.known,
	})
	if err != nil {
		return answer[T]{err: q.snapshot.explainEval(err, q.private)}
	}
	r := &results{snapshot: q.snapshot, path: q.query.path, terms: terms}
	a.value = q.decode(r)
	a.err = r.err
	return a
}

func eval(query *preparedQuery, e evaluation) (*ast.Array, error) {
	result, err := query.eval(context.Background(), e)
	if err != nil {
		return nil, err
	}
	if result == nil {
		return nil, errors.New("the contract's rules have no value")
	}
	terms, ok := result.Value.(*ast.Array)
	if !ok {
		return nil, errors.New("the contract's rules have no value")
	}
	return terms, nil
}
