package caddymodule

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// refusal says why a request does not go through: the challenge to the caller, whose reason is
// also a metric label, and the cause, if there is more to say, to the log.
type refusal struct {
	*oauth.Challenge
	cause error
	// issuer is the one that judged the token, "" when it came to none.
	issuer string
}

// Reasons of refusals, beside those of package oauth and of package token.
const (
	reasonAmbiguousHost   = "ambiguous_host"
	reasonAmbiguousMethod = "ambiguous_method"
	reasonAmbiguousPath   = "ambiguous_path"
	reasonDenied          = "denied_by_policy"
	reasonNoDecision      = "no_decision"
	reasonNoKeys          = "no_keys"
	reasonNoRule          = "no_rule"
)

// refuse answers a request that does not go through.
func (h *AuthHandler) refuse(w http.ResponseWriter, r *http.Request, refused *refusal) error {
	refused.Scope = credential.Mask(refused.Scope) // it may be made of the request's path
	httpguard.BoundBody(w, r)
	h.metricsOf(refused.issuer).Request(refused.Reason)
	addLogFields(r, zap.String("m2m_refused", refused.Reason))
	h.logRefusal(r, refused)
	return h.answer(w, r, refused)
}

// answer writes the challenge (RFC 6750 §3). Where the site has handle_errors for this request the
// body is left to it, and {http.m2m.error} is the body that would have been sent; else the body is
// the challenge as JSON.
func (h *AuthHandler) answer(w http.ResponseWriter, r *http.Request, refused *refusal) error {
	if h.metadata != nil {
		refused.ResourceMetadata = h.metadata.url
	}
	if challenge := refused.Header(); challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	if refused.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	w.Header().Set("Cache-Control", "no-store")
	body := refused.Body()
	if err := caddyhttp.Error(refused.Status, errors.New(refused.Reason)); hasErrorRoute(r, err) {
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.m2m.error", string(body))
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refused.Status)
	_, err := w.Write(body)
	return err
}

// logRefusal is at debug level, for strangers can cause it at will. A fault of ours is logged where
// it is found, once and not for every request.
func (h *AuthHandler) logRefusal(r *http.Request, refused *refusal) {
	if c := h.logger.Check(zap.DebugLevel, "request refused"); c != nil {
		c.Write(zap.String("reason", refused.Reason), zap.String("issuer", cmp.Or(refused.issuer, h.onlyIssuer())),
			zap.String("remote_ip", clientIP(r)), zap.Error(refused.cause))
	}
}
