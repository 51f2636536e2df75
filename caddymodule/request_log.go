package caddymodule

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/decisionlog"
)

// logJudgement writes what the policy said of a proxied request into the decision log. With observe it
// was not obeyed.
func (h *AuthHandler) logJudgement(r *http.Request, j *judgement) {
	addLogFields(r, zap.String("m2m_decision", j.id))
	if j.refused != nil && j.refused.cause != nil {
		h.logger.Error("deciding on a request failed", zap.String("decision_id", j.id), zap.String("issuer", j.input.Issuer),
			zap.Bool("observe", h.Policy.Observe), zap.Error(j.refused.cause))
		return
	}
	c := h.decisions.Check(zap.InfoLevel, "request decision")
	if c == nil {
		return
	}
	event := decisionlog.RequestEvent(&j.input, &j.decision)
	event.ID = j.id
	event.More = []zap.Field{zap.Bool("observe", h.Policy.Observe)}
	if err := event.Write(r.Context(), c, h.Policy.engine); err != nil {
		h.metricsOf(j.input.Issuer).Failed(err)
	}
}
