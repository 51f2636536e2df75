package policy

import (
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// Bounds of a trace, which is cut beyond them.
const (
	maxTraceEvents = 10_000
	maxTraceBytes  = 1 << 20
)

// Trace is an evaluation step by step, as OPA prints it.
type Trace struct {
	// Lines are the steps, with their places.
	Lines []string `json:"lines"`
	// Cut says that there were more.
	Cut bool `json:"cut"`
}

// stepTracer records the first steps of an evaluation until it is read. An abandoned evaluation may continue meanwhile.
type stepTracer struct {
	tracer
	mu     sync.Mutex
	events []*topdown.Event
	cut    bool
	read   bool
}

// Config lets the trace show variables by their names.
func (*stepTracer) Config() topdown.TraceConfig { return topdown.TraceConfig{PlugLocalVars: true} }

// TraceEvent implements OPA's tracer.
func (t *stepTracer) TraceEvent(event topdown.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.read {
		return
	}
	if len(t.events) == maxTraceEvents {
		t.cut = true
		return
	}
	t.events = append(t.events, &event)
}

func (t *stepTracer) trace() *Trace {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	t.read = true
	t.mu.Unlock()
	var text strings.Builder
	topdown.PrettyTraceWithLocation(&text, t.events)
	trace := &Trace{Lines: []string{}, Cut: t.cut}
	size := 0
	for line := range strings.Lines(text.String()) {
		if size += len(line); size > maxTraceBytes {
			trace.Cut = true
			break
		}
		trace.Lines = append(trace.Lines, strings.TrimRight(line, " \n"))
	}
	return trace
}
