package policy

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// lastPlace knows where an evaluation is. It can be asked while that goes on.
type lastPlace struct {
	location atomic.Pointer[ast.Location]
}

// Enabled, Config and TraceEvent are what OPA asks of a tracer.
func (*lastPlace) Enabled() bool { return true }

func (*lastPlace) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

func (p *lastPlace) TraceEvent(event topdown.Event) {
	if event.Location != nil && event.Location.File != "" { // the query itself is in no file
		p.location.Store(event.Location)
	}
}

// tell adds the place to an error that has none, for the evaluation was left behind.
func (p *lastPlace) tell(s *snapshot, err error) error {
	var failure *Error
	location := p.location.Load()
	if !errors.As(err, &failure) || failure.Kind != Timeout || location == nil {
		return err
	}
	return &Error{Timeout, fmt.Errorf("%s%s%w, and this was in evaluation last", at(location), s.rules.prefix(location), failure.Err)}
}
