package decisionlog

import (
	"errors"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// loggedTokenDecision is the result of a token decision, as it stands in the end.
type loggedTokenDecision policy.TokenDecision

// MarshalLogObject leaves out what the policy left out, unless a replay needs it.
func (d *loggedTokenDecision) MarshalLogObject(object zapcore.ObjectEncoder) error {
	err := errors.Join(object.AddArray("granted", (*loggedTexts)(&d.Granted)), object.AddArray("rejected", (*loggedRejections)(&d.Rejected)))
	if len(d.Observed) > 0 {
		err = errors.Join(err, object.AddArray("observed", (*loggedRejections)(&d.Observed)))
	}
	if len(d.BeyondSubject) > 0 {
		err = errors.Join(err, object.AddArray("beyond_subject", (*loggedWidenings)(&d.BeyondSubject)))
	}
	if d.TTL > 0 {
		object.AddInt64("ttl", int64(d.TTL/time.Second))
	}
	if len(d.Claims) > 0 {
		err = errors.Join(err, addAny(object, "claims", d.Claims))
	}
	return err
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

type loggedWidenings []policy.Widening

func (all *loggedWidenings) MarshalLogArray(array zapcore.ArrayEncoder) error {
	for i := range *all {
		if err := array.AppendObject((*loggedRejection)(&(*all)[i])); err != nil {
			return err
		}
	}
	return nil
}

// loggedRequestDecision is the result of a decision on a proxied request.
type loggedRequestDecision policy.RequestDecision

// MarshalLogObject writes the reasons to refuse the request. An empty list lets it through.
func (d *loggedRequestDecision) MarshalLogObject(object zapcore.ObjectEncoder) error {
	err := object.AddArray("denied", (*loggedTexts)(&d.Denied))
	if len(d.Observed) > 0 {
		err = errors.Join(err, object.AddArray("observed", (*loggedTexts)(&d.Observed)))
	}
	required := make(loggedTexts, len(d.Required))
	for i, s := range d.Required {
		required[i] = s.Raw
	}
	return errors.Join(err, object.AddArray("required", &required), object.AddObject("headers", loggedTextMap(d.Headers)))
}
