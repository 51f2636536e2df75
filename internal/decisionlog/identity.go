package decisionlog

import (
	"errors"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// IdentityEvent returns the event of a decision on an identity, in a request that came at the time of the input. It has no
// client_id: the one of the request is not authenticated, and may be made up.
func IdentityEvent(in *policy.IdentityInput, d *policy.IdentityDecision) *Event {
	return &Event{
		path:     policy.IdentityPath,
		input:    zap.Object("input", (*loggedIdentityInput)(in)),
		result:   zap.Object("result", (*loggedIdentityDecision)(d)),
		issuer:   in.Issuer,
		remoteIP: in.Request.RemoteIP, ipAt: ipInRequest,
		revision: d.Revision, at: in.Time, took: time.Since(in.Time),
	}
}

type loggedIdentityInput policy.IdentityInput

// MarshalLogObject writes the input of a decision on an identity.
func (in *loggedIdentityInput) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("issuer", in.Issuer)
	return errors.Join(
		object.AddObject("identity", (*loggedIdentity)(&in.Identity)),
		object.AddArray("clients", (*loggedTexts)(&in.Clients)),
		object.AddObject("request", (*loggedIdentityRequest)(&in.Request)),
	)
}

type loggedIdentity policy.Identity

func (i *loggedIdentity) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("issuer", i.Issuer)
	object.AddString("subject", i.Subject)
	object.AddString("type", i.Type)
	object.AddString("key_id", i.KeyID)
	return addAny(object, "claims", i.Claims)
}

type loggedIdentityRequest policy.IdentityRequest

func (r *loggedIdentityRequest) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("remote_ip", r.RemoteIP)
	object.AddString("client_id", r.ClientID)
	object.AddString("grant_type", r.GrantType)
	return nil
}

type loggedIdentityDecision policy.IdentityDecision

func (d *loggedIdentityDecision) MarshalLogObject(object zapcore.ObjectEncoder) error {
	return errors.Join(object.AddArray("clients", (*loggedTexts)(&d.Clients)), object.AddArray("denied", (*loggedTexts)(&d.Denied)))
}
