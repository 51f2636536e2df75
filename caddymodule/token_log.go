package caddymodule

import (
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

func (t *tokenRequest) logDecision(jti string) {
	t.issuer.decisions.Info("token decision",
		zap.String("id", t.id),
		zap.String("issuer", t.issuer.URL),
		zap.String("client_id", t.client.ID),
		zap.String("remote_ip", clientIP(t.http)),
		zap.Strings("granted", t.decision.Granted),
		zap.Array("rejected", rejections(t.decision.Rejected)),
		zap.String("policy_revision", t.decision.Revision),
		zap.String("registry_revision", t.issuer.registry.Revision()),
		zap.String("jti", jti),
		zap.Duration("duration", time.Since(t.start)))
	addLogFields(t.http, zap.String("m2m_decision", t.id), zap.String("m2m_client_id", t.client.ID))
}

// rejections are rejected scopes with their reasons, as the log shows them.
type rejections []policy.Rejection

func (all rejections) MarshalLogArray(array zapcore.ArrayEncoder) error {
	for _, r := range all {
		err := array.AppendObject(zapcore.ObjectMarshalerFunc(func(object zapcore.ObjectEncoder) error {
			object.AddString("scope", r.Scope)
			object.AddString("reason", r.Reason)
			return nil
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// logRefusal is at debug level, for strangers can cause it at will, but for a client that has
// authenticated: its refusal is in the decision log, under the ID of the answer.
func (t *tokenRequest) logRefusal(err *oauth.Error) {
	addLogFields(t.http, zap.String("m2m_error", err.Code))
	logger, level := t.issuer.logger, zap.DebugLevel
	if t.client != nil && err.Status == http.StatusBadRequest && err.RejectedScope == nil {
		logger, level = t.issuer.decisions, zap.InfoLevel
	}
	if c := logger.Check(level, "token request refused"); c != nil {
		c.Write(zap.String("id", t.id), zap.String("issuer", t.issuer.URL), zap.String("client_id", t.clientID()),
			zap.String("remote_ip", clientIP(t.http)), zap.String("error", err.Code), zap.String("description", err.Description))
	}
}

// result is the outcome as a metric label.
func (t *tokenRequest) result(err *oauth.Error) string {
	switch {
	case err != nil:
		return err.Code
	case len(t.decision.Rejected) > 0:
		return "partly_granted"
	}
	return "granted"
}
