package caddymodule

import (
	"net/http"

	"go.uber.org/zap"
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
	event := requestEvent(&j.input, &j.decision)
	event.id = j.id
	event.more = []zap.Field{zap.Bool("observe", h.Policy.Observe)}
	if err := event.write(r.Context(), c, h.Policy.engine); err != nil {
		h.metricsOf(j.input.Issuer).Failed(err)
	}
}
