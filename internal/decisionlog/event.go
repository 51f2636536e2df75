// Package decisionlog writes decisions of policies to the log, in the form of OPA's decision logs. TokenEvent and
// RequestEvent make an Event of a decision, and Event.Write writes it without credentials and within a bound. The
// package may import zap, policy and leaves.
package decisionlog

import (
	"context"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// Event is one line of the decision log. Fields that OPA's decision logs have as well (EventV1) have OPA's names.
type Event struct {
	ID string
	// More are fields that only one kind of decision has. They must not repeat parts of the input, which a policy may mask.
	More []zap.Field

	path          string
	input, result zap.Field // objects of these names
	// issuer, clientID and remoteIP repeat parts of the input. The paths lead to these parts.
	issuer, clientID, remoteIP string
	clientAt, ipAt             []string
	revision                   string        // of the policy that decided; empty if there was nothing to decide
	at                         time.Time     // the current time, for the policy
	took                       time.Duration // of the request, since then
	changes                    []zap.Field   // say what was masked and what was cut
	clean                      bool          // no text of the event holds a credential
	room                       [2]zap.Field  // for More
}

// The paths to what an event repeats.
var (
	clientInToken   = []string{"client", "id"}
	clientInRequest = []string{"token", "client_id"}
	ipInRequest     = []string{"request", "remote_ip"}
)

// Add adds fields to More.
func (e *Event) Add(fields ...zap.Field) {
	if e.More == nil {
		e.More = e.room[:0]
	}
	e.More = append(e.More, fields...)
}

// TokenEvent returns the event of a decision on a token request, which came at the time of the input.
func TokenEvent(in *policy.TokenInput, d *policy.TokenDecision) *Event {
	return &Event{
		path:     policy.TokenPath,
		input:    zap.Object("input", (*loggedTokenInput)(in)),
		result:   zap.Object("result", (*loggedTokenDecision)(d)),
		issuer:   in.Issuer,
		clientID: in.Client.ID, clientAt: clientInToken,
		remoteIP: in.Request.RemoteIP, ipAt: ipInRequest,
		revision: d.Revision, at: in.Time, took: time.Since(in.Time),
	}
}

// RequestEvent returns the event of a decision on a proxied request, which came at the time of the input.
func RequestEvent(in *policy.RequestInput, d *policy.RequestDecision) *Event {
	return &Event{
		path:     policy.RequestPath,
		input:    zap.Object("input", (*loggedRequestInput)(in)),
		result:   zap.Object("result", (*loggedRequestDecision)(d)),
		issuer:   in.Issuer,
		clientID: in.Token.ClientID, clientAt: clientInRequest,
		remoteIP: in.Request.RemoteIP, ipAt: ipInRequest,
		revision: d.Revision, at: in.Time, took: time.Since(in.Time),
	}
}

// MarshalLogObject writes the line's fields.
func (e *Event) MarshalLogObject(line zapcore.ObjectEncoder) error {
	line.AddString("decision_id", e.ID)
	line.AddString("path", e.path)
	if err := line.AddObject("labels", (*eventLabels)(e)); err != nil {
		return err
	}
	line.AddString("timestamp", e.at.UTC().Format(time.RFC3339Nano))
	addText(line, "revision", e.revision)
	addText(line, "requested_by", e.remoteIP)
	addText(line, "client_id", e.clientID)
	e.input.AddTo(line)
	e.result.AddTo(line)
	for i := range e.More {
		e.More[i].AddTo(line)
	}
	for i := range e.changes {
		e.changes[i].AddTo(line)
	}
	return line.AddObject("metrics", (*eventMetrics)(e))
}

type eventLabels Event

func (e *eventLabels) MarshalLogObject(labels zapcore.ObjectEncoder) error {
	addText(labels, "issuer", e.issuer)
	return nil
}

type eventMetrics Event

func (e *eventMetrics) MarshalLogObject(metrics zapcore.ObjectEncoder) error {
	metrics.AddInt64("timer_server_handler_ns", e.took.Nanoseconds())
	return nil
}

// addText adds a text unless it is empty.
func addText(object zapcore.ObjectEncoder, name, text string) {
	if text != "" {
		object.AddString(name, text)
	}
}

// Write writes the line, without what the policy masks, without credentials and within a bound. If the policy fails to
// mask, Write returns its error. The line then has the error in the place of input and result.
func (e *Event) Write(ctx context.Context, c *zapcore.CheckedEntry, engine *policy.Engine) error {
	size, found := logmask.Scan(e.input, e.result)
	e.clean = !found && !e.othersHaveCredential()
	var err error
	if engine.Masks() {
		err = e.mask(ctx, engine)
		e.clean = false
	} else if found {
		e.hide()
	}
	if e.changes != nil {
		size, _ = logmask.Scan(e.fields()...)
		e.clean = false
	}
	if size > maxDecision {
		e.cut()
	}
	c.Write(zap.Inline(e))
	return err
}

// othersHaveCredential reports whether a text beside input and result holds a credential. The names are constants.
func (e *Event) othersHaveCredential() bool {
	return credential.Contains(e.ID) || credential.Contains(e.issuer) || credential.Contains(e.clientID) || credential.Contains(e.remoteIP) ||
		credential.Contains(e.revision) || logmask.HasCredential(e.More...)
}

// HasCredential implements logmask.Checked: Write has scanned the event already, unless it changed it.
func (e *Event) HasCredential() bool {
	if e.clean {
		return false
	}
	_, found := logmask.ScanObject(e)
	return found
}

// fields are the fields that may be long.
func (e *Event) fields() []zap.Field { return append([]zap.Field{e.input, e.result}, e.changes...) }

// hide masks credentials. The logger does so as well, but after the cut, which may leave a part of a credential that is
// not recognized, and its own field about masks may make the line too long.
func (e *Event) hide() {
	line := zapcore.NewMapObjectEncoder()
	_ = e.MarshalLogObject(line) // into maps, which does not fail
	shown, pointers := logmask.Object(line.Fields)
	e.show(shown)
	e.changes = append(e.changes, zap.Strings(logmask.Key, pointers))
}

// mask removes what the policy masks, and credentials. It precedes any cut, so that a caller cannot hide something from a
// mask in a large request.
func (e *Event) mask(ctx context.Context, engine *policy.Engine) error {
	line := zapcore.NewMapObjectEncoder()
	if err := e.MarshalLogObject(line); err != nil {
		e.show(nil)
		return err
	}
	shown, pointers := logmask.Object(line.Fields) // Rego must not see credentials either
	// a client must not change its line by closing the connection
	masked, err := engine.Mask(context.WithoutCancel(ctx), shown)
	if err != nil {
		e.show(nil)
		e.changes = append(e.changes, zap.String("mask_error", err.Error()))
		return err
	}
	e.show(masked.Event)
	if len(masked.Erased) > 0 {
		e.changes = append(e.changes, zap.Strings("erased", masked.Erased))
	}
	if all := append(pointers, masked.Replaced...); len(all) > 0 {
		e.changes = append(e.changes, zap.Strings(logmask.Key, all))
	}
	return nil
}

// show replaces input and result by those of a line, and what repeats the input by what is left of it there.
func (e *Event) show(line map[string]any) {
	e.input, e.result = memberField(line, "input"), memberField(line, "result")
	e.issuer, e.clientID, e.remoteIP = textAt(line["input"], []string{"issuer"}), textAt(line["input"], e.clientAt), textAt(line["input"], e.ipAt)
}

func memberField(line map[string]any, name string) zap.Field {
	value, ok := line[name]
	if !ok {
		return zap.Skip()
	}
	if object, ok := value.(map[string]any); ok {
		return zap.Object(name, loggedMembers(object))
	}
	return zap.Reflect(name, value)
}

// textAt returns the text at a path of objects, or "" if there is none.
func textAt(value any, path []string) string {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	text, _ := value.(string)
	return text
}
