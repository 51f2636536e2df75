package policy

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// ValueExplanation is a value that the policy gave, with the rules that gave it.
type ValueExplanation struct {
	Name   string  `json:"name"`
	Value  any     `json:"value"`
	Causes []Cause `json:"causes"`
}

// explained is an answer, with what was seen while it was found.
type explained[T any] struct {
	value   T
	results *results
	witness *witness
	tape    *traceTape
}

// explain asks as decisions do, and watches the evaluation. With an error there is what was seen before it:
// the tape alone, for the rest may still be written to.
func explain[T any](ctx context.Context, e *Engine, s *snapshot, q question[T], trace bool) (*explained[T], error) {
	x := &explained[T]{witness: newWitness(q.path)}
	last := new(lastPlace)
	tracers := []topdown.QueryTracer{x.witness, last}
	if trace {
		x.tape = new(traceTape)
		tracers = append(tracers, x.tape)
	}
	found := func(r *results) *explained[T] {
		x.results, x.value = r, q.decode(r)
		return x
	}
	_, err := askWithin(ctx, e, s, question[*explained[T]]{path: q.path, query: q.query, input: q.input, at: q.at, decode: found}, e.cfg.patience(), tracers...)
	if err != nil {
		return &explained[T]{tape: x.tape}, last.tell(s, err)
	}
	return x, nil
}

// patience is how long an explanation may take, for to watch costs time.
func (c Config) patience() time.Duration { return max(c.Timeout, min(10*c.Timeout, 10*time.Second)) }
