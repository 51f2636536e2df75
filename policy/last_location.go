package policy

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// lastLocation records where an evaluation is. It can be read during the evaluation.
type lastLocation struct {
	location atomic.Pointer[ast.Location]
}

// Enabled, Config and TraceEvent implement OPA's tracer.
func (*lastLocation) Enabled() bool { return true }

func (*lastLocation) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

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
