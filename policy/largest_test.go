package policy

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// countTracer counts the steps of an evaluation.
type countTracer struct {
	tracer
	steps int
}

func (c *countTracer) TraceEvent(topdown.Event) { c.steps++ }

// TestLargestRequests: an evaluation takes as many steps for 200 grants of any shape as for one. The steps of OPA are what
// takes time, and unlike time they can be counted.
func TestLargestRequests(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	steps := func(in TokenInput) int {
		t.Helper()
		value, err := in.value()
		if err != nil {
			t.Fatal(err)
		}
		count := new(countTracer)
		_, err = eval(e.current.Load().prepared[tokenQuery], evaluation{
			input: ast.NewTerm(value), cancel: topdown.NewCancel(), known: in.known(value), tracers: []topdown.QueryTracer{count},
		})
		if err != nil {
			t.Fatal(err)
		}
		return count.steps
	}
	one := steps(benchInput(t, 100, 1))
	if one < 100 || one > 2000 {
		t.Errorf("%d steps for one grant", one)
	}
	for shape := range largest {
		in := largestInput(t, shape)
		if got := steps(in); got != one {
			t.Errorf("%s: %d steps, and %d for one grant", shape, got, one)
		}
		if d := decide(t, e, in); len(d.Granted) != 100 {
			t.Errorf("%s: %d scopes are granted", shape, len(d.Granted))
		}
	}
}
