package decisionlog

import (
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// loggedTokenDecision is the result of a token decision, as it stands in the end.
type loggedTokenDecision policy.TokenDecision

// MarshalLogObject writes what the policy says nothing of only where a replay needs it.
func (d *loggedTokenDecision) MarshalLogObject(object zapcore.ObjectEncoder) error {
	if err := object.AddArray("granted", (*loggedTexts)(&d.Granted)); err != nil {
		return err
	}
	if err := object.AddArray("rejected", (*loggedRejections)(&d.Rejected)); err != nil {
		return err
	}
	if len(d.Observed) > 0 {
		if err := object.AddArray("observed", (*loggedRejections)(&d.Observed)); err != nil {
			return err
		}
	}
	if d.TTL > 0 {
		object.AddInt64("ttl", int64(d.TTL/time.Second))
	}
	if len(d.Claims) > 0 {
		return addAny(object, "claims", d.Claims)
	}
	return nil
}

type loggedRejections []policy.Rejection

func (all *loggedRejections) MarshalLogArray(array zapcore.ArrayEncoder) error {
	for i := range *all {
		if err := array.AppendObject((*loggedRejection)(&(*all)[i])); err != nil {
			return err
		}
	}
	return nil
}

type loggedRejection policy.Rejection

func (r *loggedRejection) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("scope", r.Scope)
	object.AddString("reason", r.Reason)
	return nil
}

// loggedRequestDecision is the result of a decision on a proxied request.
type loggedRequestDecision policy.RequestDecision

// MarshalLogObject writes the reasons to refuse, of which none lets the request through.
func (d *loggedRequestDecision) MarshalLogObject(object zapcore.ObjectEncoder) error {
	if err := object.AddArray("denied", (*loggedTexts)(&d.Denied)); err != nil {
		return err
	}
	if len(d.Observed) > 0 {
		if err := object.AddArray("observed", (*loggedTexts)(&d.Observed)); err != nil {
			return err
		}
	}
	required := make(loggedTexts, len(d.Required))
	for i, s := range d.Required {
		required[i] = s.Raw
	}
	if err := object.AddArray("required", &required); err != nil {
		return err
	}
	return object.AddObject("headers", loggedTextMap(d.Headers))
}
