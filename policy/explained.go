package policy

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// ValueExplanation is a value of the policy, with the rules that gave it.
type ValueExplanation struct {
	Name   string  `json:"name"`
	Value  any     `json:"value"`
	Causes []Cause `json:"causes"`
}

// explained is an answer, with what tracers recorded.
type explained[T any] struct {
	value   T
	results *results
	witness *witness
	tape    *traceTape
}

// explain evaluates like a decision, with tracers. After an error only the trace is returned: the evaluation may still
// write to the rest.
func explain[T any](ctx context.Context, e *Engine, s *snapshot, q question[T], trace bool) (*explained[T], error) {
	x := &explained[T]{witness: newWitness(q.path)}
	last := new(lastLocation)
	tracers := []topdown.QueryTracer{x.witness, last}
	if trace {
		x.tape = new(traceTape)
		tracers = append(tracers, x.tape)
	}
	found := func(r *results) *explained[T] {
		x.results, x.value = r, q.decode(r)
		return x
	}
	asked := question[*explained[T]]{path: q.path, query: q.query, input: q.input, at: q.at, decode: found}
	_, err := askWithin(ctx, e, s, asked, e.cfg.explainTimeout(), tracers...)
	if err != nil {
		return &explained[T]{tape: x.tape}, last.addTo(s, err)
	}
	return x, nil
}

// explainTimeout returns how long an explanation may take. It is longer than that of a decision, because tracing costs time.
func (c Config) explainTimeout() time.Duration {
	return max(c.Timeout, min(10*c.Timeout, 10*time.Second))
}
