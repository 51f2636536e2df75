package caddymodule

import (
	"net/http"
	"time"

	"go.uber.org/zap"
)

// logJudgement writes what the policy said of a proxied request into the decision log. With observe it
// was not obeyed.
func (h *AuthHandler) logJudgement(r *http.Request, j *judgement, observe bool, start time.Time) {
	addLogFields(r, zap.String("m2m_decision", j.id))
	if j.refused != nil && j.refused.cause != nil {
		h.logger.Error("deciding on a request failed", zap.String("id", j.id), zap.String("issuer", h.Issuer),
			zap.Bool("observe", observe), zap.Error(j.refused.cause))
		return
	}
	h.decisions.Info("request decision", zap.String("id", j.id), zap.Bool("observe", observe),
		zap.Strings("denied", j.decision.Denied), zap.Strings("observed", j.decision.Observed), zap.Duration("duration", time.Since(start)))
}
