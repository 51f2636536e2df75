package door

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Refusal says why a request does not go through. The caller gets the challenge, whose reason is also a metric label.
// The log gets the cause as well, if there is one.
type Refusal struct {
	*oauth.Challenge
	cause error
	// issuer is the issuer of the token, "" if that is not known.
	issuer string
}

// Reasons of refusals, besides those of package oauth and of package token.
const (
	reasonAmbiguousHost   = "ambiguous_host"
	reasonAmbiguousMethod = "ambiguous_method"
	reasonAmbiguousPath   = "ambiguous_path"
	reasonDenied          = "denied_by_policy"
	reasonForwardAuth     = "bad_forward_auth"
	reasonNoDecision      = "no_decision"
	reasonNoKeys          = "no_keys"
	reasonNoRevocations   = "no_revocations"
	reasonNoRule          = "no_rule"
)

// unavailable refuses a request because of a failure on this side.
func unavailable(reason, description string, cause error) *Refusal {
	return &Refusal{cause: cause, Challenge: &oauth.Challenge{
		Status: http.StatusServiceUnavailable, Code: oauth.CodeTemporarilyUnavailable, Reason: reason, Description: description,
	}}
}

// ambiguous refuses a request that can be read in more than one way.
func ambiguous(reason, why string) *Refusal {
	return &Refusal{Challenge: &oauth.Challenge{
		Status: http.StatusBadRequest, Code: oauth.CodeInvalidRequest, Reason: reason,
		Description: "the request can be read in more than one way: " + why,
	}}
}

// invalidToken refuses a token that is malformed, expired, revoked or of another issuer (RFC 6750 §3.1).
func invalidToken(cause error) *Refusal {
	reason := token.ErrorReason(cause)
	description := "the token is refused: " + strings.ReplaceAll(string(reason), "_", " ")
	if known, ok := errors.AsType[*token.Error](cause); ok && reason == token.WrongAudience {
		description += ", " + known.Detail
	}
	return &Refusal{cause: cause, Challenge: &oauth.Challenge{
		Status: http.StatusUnauthorized, Code: oauth.CodeInvalidToken, Reason: string(reason), Description: description,
	}}
}

// forbidden refuses a valid token that is not enough for the request (RFC 6750 §3.1).
func forbidden(reason, description, scope string) *Refusal {
	return &Refusal{Challenge: &oauth.Challenge{
		Status: http.StatusForbidden, Code: oauth.CodeInsufficientScope, Reason: reason, Description: description, Scope: scope,
	}}
}

// insufficientScope refuses a token that does not cover all the required scopes.
func insufficientScope(required []scope.Scope) *Refusal {
	return forbidden(oauth.CodeInsufficientScope, "the token does not cover what this request needs", scopeList(required))
}

// forTokenOf adds the scopes that a request of this match needs to the refusal of its token, so that a client asks for
// them at once (RFC 6750 §3). Those that a policy requires are not known yet.
func (r *Refusal) forTokenOf(m match) *Refusal {
	if r.Status == http.StatusUnauthorized {
		r.Scope = scopeList(m.required)
	}
	return r
}

// scopeList is the space-separated list of RFC 6749 §3.3.
func scopeList(scopes []scope.Scope) string {
	raw := make([]string, len(scopes))
	for n, s := range scopes {
		raw[n] = s.Raw
	}
	return strings.Join(raw, " ")
}

// refuse counts and logs a refusal, and answers the request.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, refused *Refusal) error {
	refused.Scope = credential.Mask(refused.Scope) // its identifiers may come from the request's path
	d.nameSchemes(refused, r)
	httpguard.BoundBody(w, r)
	d.metricsOf(refused.issuer).Request(refused.Reason)
	d.Host.AddLogFields(r, zap.String("m2m_refused", refused.Reason))
	// Anyone can cause refusals, so they are logged at debug level. A failure on this side is logged once, where it is
	// found.
	if c := d.Logger.Check(zap.DebugLevel, "request refused"); c != nil {
		c.Write(zap.String("reason", refused.Reason), zap.String("issuer", cmp.Or(refused.issuer, d.OnlyIssuer())),
			zap.String("remote_ip", d.Host.ClientIP(r)), zap.Error(refused.cause))
	}
	return d.challenge(w, r, refused)
}

// challenge writes the answer of RFC 6750 §3. If the site has an error route for this request, challenge returns the
// error for it and leaves the body to it. Otherwise the body is the challenge as JSON.
func (d *Door) challenge(w http.ResponseWriter, r *http.Request, refused *Refusal) error {
	if d.metadata != nil {
		refused.ResourceMetadata = d.metadata.url
	}
	if challenge := refused.Header(); challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	if refused.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	w.Header().Set("Cache-Control", "no-store")
	body := refused.Body()
	if err := d.Host.Error(refused.Status, errors.New(refused.Reason)); d.Host.HasErrorRoute(r, err, body) {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refused.Status)
	_, err := w.Write(body)
	return err
}
