package issuer

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/decisionlog"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// logDecision writes a line of the decision log; jti is the ID of the token, "" if there is none.
func (t *tokenRequest) logDecision(jti string) {
	t.logged = true
	t.logFields = [...]zap.Field{
		zap.String("m2m_decision", t.id), zap.String("m2m_client_id", t.client.ID),
		zap.String("m2m_auth_method", t.method), zap.String("m2m_key_id", t.keyID),
	}
	t.issuer.Host.AddLogFields(t.http, t.logFields[:]...)
	c := t.issuer.Decisions.Check(zap.InfoLevel, "token decision")
	if c == nil {
		return
	}
	event := decisionlog.TokenEvent(&t.input, &t.decision)
	event.ID = t.id
	event.Add(zap.String("registry_revision", t.issuer.Registry.Revision()), zap.String("key_id", t.keyID), zap.String("jti", jti))
	if err := event.Write(t.http.Context(), c, t.issuer.Policy); err != nil {
		t.issuer.Metrics.Failed(err)
	}
}

// logRefusal logs at debug level, because anyone can cause refusals. The refusal of an authenticated client is in the
// decision log, under the ID of the answer. A client that is not authenticated is also logged by logFailing.
func (t *tokenRequest) logRefusal(err *oauth.Error) {
	t.addRefusalFields(err)
	fields := func() []zap.Field {
		return []zap.Field{
			zap.String("decision_id", t.id), zap.String("client_id", t.clientID()), zap.String("remote_ip", t.issuer.Host.ClientIP(t.http)),
			zap.String("error", err.Code), zap.String("description", err.Description),
		}
	}
	if t.client != nil && err.Status == http.StatusBadRequest && !t.logged {
		if c := t.issuer.Decisions.Check(zap.InfoLevel, "token request refused"); c != nil {
			refused := append(fields(), zap.String("issuer", t.issuer.URL)) // that logger is of all issuers
			if t.why != "" {
				refused = append(refused, zap.String("reason", t.why))
			}
			c.Write(refused...)
		}
		return
	}
	if c := t.issuer.Logger.Check(zap.DebugLevel, "token request refused"); c != nil {
		c.Write(append(fields(), zap.String("reason", t.reason()))...)
	}
}

// addRefusalFields adds why a request is refused to its line in the access log.
func (c *call) addRefusalFields(err *oauth.Error) {
	fields := []zap.Field{zap.String("m2m_error", err.Code)}
	if c.refusal != nil {
		fields = append(fields, zap.String("m2m_reason", c.refusal.Reason))
		if c.client == nil { // the line of an authenticated client has it
			fields = append(fields, zap.String("m2m_client_id", c.refusal.ClientID))
		}
	}
	c.issuer.Host.AddLogFields(c.http, fields...)
}

// result returns the outcome as a metric label.
func (t *tokenRequest) result(err *oauth.Error) string {
	switch {
	case err != nil:
		return err.Code
	case t.rejectedScope() != "":
		return "partly_granted"
	}
	return "granted"
}
