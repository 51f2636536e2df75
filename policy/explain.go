package policy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
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
	origins *originTracer
	trace   *Trace
}

// explain evaluates like a decision, with tracers. It takes up to ten times as long, because tracing costs time. After
// an error only the trace is returned: the evaluation may still write to the rest.
func explain[T any](ctx context.Context, e *Engine, q question[T], trace bool) (*explained[T], error) {
	x := &explained[T]{origins: newOriginTracer(q.query.path)}
	last := new(lastLocation)
	tracers := []topdown.QueryTracer{x.origins, last}
	var steps *stepTracer
	if trace {
		steps = new(stepTracer)
		tracers = append(tracers, steps)
	}
	decode := q.decode
	q.decode = func(r *results) T {
		x.results = r
		return decode(r)
	}
	timeout := max(e.cfg.Timeout, min(10*e.cfg.Timeout, 10*time.Second))
	value, err := ask(ctx, e, q, timeout, tracers...)
	if err != nil {
		return &explained[T]{trace: steps.trace()}, last.addTo(q.snapshot, err)
	}
	x.value, x.trace = value, steps.trace()
	return x, nil
}

// tracer has the methods of OPA's tracers that ours have in common.
type tracer struct{}

func (tracer) Enabled() bool               { return true }
func (tracer) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// lastLocation records where an evaluation is. It can be read during the evaluation.
type lastLocation struct {
	tracer
	location atomic.Pointer[ast.Location]
}

// TraceEvent implements OPA's tracer.
func (p *lastLocation) TraceEvent(event topdown.Event) {
	if event.Location != nil && event.Location.File != "" { // the query itself is in no file
		p.location.Store(event.Location)
	}
}

// addTo adds the location to the error of an evaluation that took too long.
func (p *lastLocation) addTo(s *snapshot, err error) error {
	var failure *Error
	location := p.location.Load()
	if !errors.As(err, &failure) || failure.Kind != Timeout || location == nil {
		return err
	}
	return &Error{Timeout, fmt.Errorf("%s%s%w, and this was evaluated last", at(location), s.rules.prefix(location), failure.Err)}
}
