package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// RequestPolicy has Rego decide on requests whose token covers what the route requires: rules of package
// m2m.request may refuse them, require further scopes, and tell the upstream more.
type RequestPolicy struct {
	// PolicySource says where the Rego is. Default: the policy of the door's issuer, which must be its
	// only one and of this process.
	PolicySource

	// InputHeaders are the request headers that the policy sees, by their names in lower case. Of
	// each only the spelling X-Name reaches the upstream. Those that carry credentials by their names,
	// such as Authorization, Cookie or X-Api-Key, cannot be among them: the decision log has what a
	// policy sees. Default: none.
	InputHeaders []string `json:"input_headers,omitempty"`

	// UpstreamHeaders are the headers that the policy may set on the request to the upstream. What
	// the client sent under these names is removed, in any spelling. A policy that sets another
	// one fails, and the request with it. Default: none.
	UpstreamHeaders []string `json:"upstream_headers,omitempty"`

	// Observe decides and logs, and lets every request through as if there were no policy: to try a
	// policy on real requests. Default: false.
	Observe bool `json:"observe,omitempty"`

	engine *policy.Engine
	own    bool // the engine is this door's, and no issuer's
}

// provision finds or compiles the policy, and adds its headers to those of the door's identity.
func (p *RequestPolicy) provision(h *AuthHandler, storage certmagic.Storage) error {
	if err := p.checkHeaders(h.identity); err != nil {
		return err
	}
	if err := p.findEngine(h, storage); err != nil {
		return err
	}
	return p.engine.RequireRequests()
}

func (p *RequestPolicy) findEngine(h *AuthHandler, storage certmagic.Storage) error {
	if len(p.Paths) == 0 && p.Bundle == nil {
		switch {
		case len(h.trusted) > 1:
			return errors.New("the door has several issuers, so there is no one policy of its issuer; add the policy's path, or a bundle")
		case h.trusted[0].local == nil:
			return fmt.Errorf("issuer %q is none of this process's, so its policy is not here; add the policy's path, or a bundle", withoutUserInfo(h.trusted[0].URL))
		}
		p.engine = h.trusted[0].local.policy
		return nil
	}
	if err := replaceAll(caddy.NewReplacer(), pointers(p.Paths)...); err != nil {
		return err
	}
	var err error
	if p.engine, err = p.load(storage, path.Join("m2m", storageName(h.trusted[0].URL), "doors", p.name()), h.logger); err != nil {
		return err
	}
	p.own = true
	return nil
}

// name tells the door's own policy from those of other doors.
func (p *RequestPolicy) name() string {
	where := strings.Join(p.Paths, " ")
	if p.Bundle != nil {
		where = p.Bundle.Location
	}
	sum := sha256.Sum256([]byte(where))
	return hex.EncodeToString(sum[:4])
}

// checkHeaders makes the names canonical, and has the door's identity know them.
func (p *RequestPolicy) checkHeaders(identity *identityHeaders) error {
	if err := p.checkNames(); err != nil {
		return err
	}
	for _, name := range p.UpstreamHeaders {
		if httpguard.FoldsToAny(name, slices.Collect(maps.Keys(identity.claims))) {
			return fmt.Errorf("header %q carries a claim already", name)
		}
	}
	for _, name := range p.InputHeaders {
		if httpguard.FoldsToAny(name, identity.stripped) {
			return fmt.Errorf("the policy never sees the header %q, which the door removes from the request; use input.token", name)
		}
	}
	identity.pinned = p.InputHeaders
	identity.stripped = append(identity.stripped, p.UpstreamHeaders...)
	return nil
}

// setByProxy are the headers that reverse_proxy sets or removes after the door. What the door or its policy
// saw of them or set would not be what the upstream gets.
var setByProxy = []string{
	"Alt-Svc", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}

func (p *RequestPolicy) checkNames() error {
	for n, name := range p.InputHeaders {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("%q is not a header name", name)
		case credentialNames.MatchString(canonical):
			return fmt.Errorf("header %q holds credentials by its name, which a policy does not see, nor the decision log", canonical)
		case slices.Contains(setByProxy, canonical):
			return fmt.Errorf("reverse_proxy sets or removes the header %q after the policy has judged it; use input.request.remote_ip or input.request.host", canonical)
		}
		p.InputHeaders[n] = canonical
	}
	for n, name := range p.UpstreamHeaders {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("%q is not a header name", name)
		case slices.Contains(forbiddenIdentityHeaders, canonical):
			return fmt.Errorf("header %q cannot be set by a policy", canonical)
		case httpguard.FoldsToAny(canonical, setByProxy):
			return fmt.Errorf("header %q cannot be set by a policy: reverse_proxy sets or removes it after the door", canonical)
		case httpguard.FoldsToAny(canonical, p.InputHeaders):
			return fmt.Errorf("header %q cannot be both what the policy sees and what it sets", canonical)
		}
		p.UpstreamHeaders[n] = canonical
	}
	return nil
}

// judgement is what the policy said of a request.
type judgement struct {
	id       string
	input    policy.RequestInput
	decision policy.RequestDecision
	refused  *refusal
}

// judge asks the policy. It returns the headers for the upstream, or a refusal.
func (p *RequestPolicy) judge(h *AuthHandler, r *http.Request, claims *token.Claims, found matched) (map[string]string, *refusal) {
	j := &judgement{id: token.NewID(), input: p.input(r, claims, found)}
	j.input.Time = time.Now()
	var err error
	if j.decision, err = p.engine.DecideRequest(r.Context(), j.input); err == nil {
		err = p.checkSet(j.decision.Headers)
	}
	switch {
	case err != nil:
		h.metricsOf(claims.Issuer).Failed(err)
		j.refused = noDecision(err)
	case len(j.decision.Denied) > 0:
		j.refused = denied()
	default:
		j.refused = requireScopes(claims, j.decision.Required)
	}
	if j.refused != nil {
		j.refused.DecisionID = j.id
	}
	if p.Observe && j.refused != nil || len(j.decision.Observed) > 0 {
		h.metricsOf(claims.Issuer).Observed()
	}
	h.logJudgement(r, j)
	switch {
	case p.Observe:
		return nil, nil
	case j.refused != nil:
		return nil, j.refused
	}
	return j.decision.Headers, nil
}

// checkSet holds the policy to the headers that the door has for it, each with one value that arrives as
// it is: what stands around a value in white space is lost on the way (RFC 9110 §5.5).
func (p *RequestPolicy) checkSet(headers map[string]string) error {
	set := make(map[string]bool, len(headers))
	for name, value := range headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !slices.Contains(p.UpstreamHeaders, canonical):
			return &policy.Error{Kind: policy.WrongType, Err: fmt.Errorf("headers has %q, which is no upstream_header of this door", name)}
		case !httpguts.ValidHeaderFieldValue(value) || strings.TrimSpace(value) != value:
			return &policy.Error{Kind: policy.WrongType, Err: fmt.Errorf("headers has a value for %q that no header can have", name)}
		case set[canonical]:
			return &policy.Error{Kind: policy.WrongType, Err: fmt.Errorf("headers has %q in two spellings", canonical)}
		}
		set[canonical] = true
	}
	return nil
}

func (p *RequestPolicy) input(r *http.Request, claims *token.Claims, found matched) policy.RequestInput {
	in := policy.RequestInput{
		Issuer: claims.Issuer,
		Request: policy.ProxiedRequest{
			Method: found.method, Host: httpguard.FoldHost(r.Host), Path: segments(r.URL.Path),
			RemoteIP: clientIP(r), Headers: p.seen(r.Header),
		},
		Token: policy.Token{ClientID: claims.ClientID, Subject: claims.Subject, Scopes: claims.Scopes, Claims: claims.All},
	}
	if found.route != nil {
		in.Request.Route = policy.Route{Pattern: found.route.pattern, Parameters: found.parameters}
	}
	return in
}

// segments are those of a path that is not ambiguous; a trailing slash makes a last, empty one.
func segments(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// seen is the headers that the policy sees.
func (p *RequestPolicy) seen(header http.Header) map[string][]string {
	if len(p.InputHeaders) == 0 {
		return nil
	}
	seen := make(map[string][]string, len(p.InputHeaders))
	for _, name := range p.InputHeaders {
		if values := header[name]; len(values) > 0 {
			seen[strings.ToLower(name)] = values
		}
	}
	return seen
}

// start looks at the door's own policy for changes until ctx is done. That of an issuer is looked at
// already.
func (h *AuthHandler) start(ctx caddy.Context) error {
	if h.Policy == nil || !h.Policy.own {
		return nil
	}
	h.Policy.engine.Start(ctx)
	kind := "policy of a door, " + strings.Join(h.Policy.engine.Status().Where, " ")
	h.metrics.SetHealthy(kind, h.Policy.engine.Healthy())
	logger := h.logger.With(zap.String("issuer", h.onlyIssuer()))
	w := &watcher{emit: emitterOf(ctx), logger: logger, metrics: h.metrics.Reloads, issuer: h.onlyIssuer(), kind: kind, source: h.Policy.engine}
	go poll.Every(ctx, pollInterval, w.look)
	return nil
}

func (p *RequestPolicy) cleanup() {
	if p.own { // else it is the issuer's, or Provision did not come so far
		p.engine.Close()
	}
}

// noDecision is our failure, and not the caller's.
func noDecision(err error) *refusal {
	return unavailable(reasonNoDecision, "no decision can be made now", err)
}

func denied() *refusal { return forbidden(reasonDenied, "the policy denies this request", "") }
