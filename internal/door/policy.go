package door

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/decisionlog"
	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// Policy decides on requests whose token covers what the route requires. It may refuse them, require further scopes,
// and set headers for the upstream.
type Policy struct {
	Engine          *policy.Engine
	InputHeaders    []string // canonical; the policy reads these
	UpstreamHeaders []string // canonical; the policy may set these
	Observe         bool     // decide and log, but let every request through
	Own             bool     // the engine belongs to this door, not to an issuer
	Log             *zap.Logger
}

// CheckPolicyHeaders makes the names of headers canonical, in place. It fails on a header that a policy may not read or
// set.
func CheckPolicyHeaders(input, upstream []string) error {
	for n, name := range input {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("%q is not a header name", name)
		case httpguard.CarriesCredentials(canonical):
			return fmt.Errorf("header %q holds credentials by its name, which a policy does not see, nor the decision log", canonical)
		case slices.Contains(setByProxy, canonical):
			return fmt.Errorf("reverse_proxy sets or removes the header %q after the policy has judged it; use input.request.remote_ip or input.request.host", canonical)
		}
		input[n] = canonical
	}
	for n, name := range upstream {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("%q is not a header name", name)
		case slices.Contains(messageHeaders, canonical):
			return fmt.Errorf("header %q cannot be set by a policy", canonical)
		case httpguard.FoldsToAny(canonical, setByProxy):
			return fmt.Errorf("header %q cannot be set by a policy: reverse_proxy sets or removes it after the door", canonical)
		case httpguard.FoldsToAny(canonical, input):
			return fmt.Errorf("header %q cannot be both what the policy sees and what it sets", canonical)
		}
		upstream[n] = canonical
	}
	return nil
}

// claimHeaders checks the policy's headers, and adds them to the identity headers that the door strips or pins.
func (p *Policy) claimHeaders(identity *identityHeaders) error {
	if err := CheckPolicyHeaders(p.InputHeaders, p.UpstreamHeaders); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	for _, name := range p.UpstreamHeaders {
		if httpguard.FoldsToAny(name, slices.Collect(maps.Keys(identity.claims))) {
			return fmt.Errorf("policy: header %q carries a claim already", name)
		}
	}
	for _, name := range p.InputHeaders {
		if httpguard.FoldsToAny(name, identity.stripped) {
			return fmt.Errorf("policy: the policy never sees the header %q, which the door removes from the request; use input.token", name)
		}
	}
	identity.pinned = p.InputHeaders
	identity.stripped = append(identity.stripped, p.UpstreamHeaders...)
	return nil
}

// decision is what the policy decided on a request.
type decision struct {
	id      string
	input   policy.RequestInput
	result  policy.RequestDecision
	refused *Refusal // nil if the policy lets the request through
}

// askPolicy returns the headers that the policy sets for the upstream, or a refusal.
func (d *Door) askPolicy(r *http.Request, claims *token.Claims, m match) (map[string]string, *Refusal) {
	made := d.decide(r, claims, m)
	if d.Policy.Observe && made.refused != nil || len(made.result.Observed) > 0 {
		d.metricsOf(claims.Issuer).Observed()
	}
	d.logDecision(r, made)
	switch {
	case d.Policy.Observe:
		return nil, nil
	case made.refused != nil:
		return nil, made.refused
	}
	return made.result.Headers, nil
}

func (d *Door) decide(r *http.Request, claims *token.Claims, m match) *decision {
	made := &decision{id: token.NewID(), input: d.policyInput(r, claims, m)}
	made.input.Time = time.Now()
	var err error
	if made.result, err = d.Policy.Engine.DecideRequest(r.Context(), made.input); err == nil {
		if err = d.Policy.checkHeaders(made.result.Headers); err != nil {
			made.result.Failed(err)
		}
	}
	switch {
	case err != nil:
		d.metricsOf(claims.Issuer).Failed(err)
		made.refused = noDecision(err)
	case len(made.result.Denied) > 0:
		made.refused = denied()
	default:
		made.refused = requireScopes(claims, made.result.Required)
	}
	if made.refused != nil {
		made.refused.DecisionID = made.id
	}
	return made
}

func noDecision(err error) *Refusal {
	return unavailable(reasonNoDecision, "no decision can be made now", err)
}

func denied() *Refusal { return forbidden(reasonDenied, "the policy denies this request", "") }

// checkHeaders fails if the policy sets a header that it may not set, or one whose value would not arrive as it is:
// white space around a value is lost (RFC 9110 §5.5).
func (p *Policy) checkHeaders(headers map[string]string) error {
	set := make(map[string]bool, len(headers))
	for name, value := range headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !slices.Contains(p.UpstreamHeaders, canonical):
			return &policy.Error{Kind: policy.WrongType, Err: fmt.Errorf("headers has %q, which is not an upstream_header of this door", name)}
		case !httpguts.ValidHeaderFieldValue(value) || strings.TrimSpace(value) != value:
			return &policy.Error{Kind: policy.WrongType, Err: fmt.Errorf("headers has a value for %q that no header can have", name)}
		case set[canonical]:
			return &policy.Error{Kind: policy.WrongType, Err: fmt.Errorf("headers has %q in two spellings", canonical)}
		}
		set[canonical] = true
	}
	return nil
}

func (d *Door) policyInput(r *http.Request, claims *token.Claims, m match) policy.RequestInput {
	in := policy.RequestInput{
		Issuer: claims.Issuer,
		Request: policy.ProxiedRequest{
			Method: m.method, Host: httpguard.FoldHost(r.Host), Path: segments(r.URL),
			RemoteIP: d.Host.ClientIP(r), Headers: d.Policy.inputHeaders(r.Header),
		},
		Token: policy.Token{ClientID: claims.ClientID, Subject: claims.Subject, Scopes: claims.Scopes, Claims: claims.All},
	}
	if m.route != nil {
		in.Request.Route = policy.Route{Pattern: m.route.pattern, Parameters: m.parameters.asMap()}
	}
	return in
}

// segments splits a path and decodes its segments. An encoded slash is a character of its segment. After a trailing slash
// comes a last, empty segment.
func segments(u *url.URL) []string {
	encoded := httpguard.HasEncodedSlash(u)
	if encoded {
		u = withMarks(u)
	}
	path := strings.TrimPrefix(u.Path, "/")
	if path == "" {
		return nil
	}
	split := strings.Split(path, "/")
	if encoded {
		for n, segment := range split {
			split[n] = strings.ReplaceAll(segment, slashMark, "/")
		}
	}
	return split
}

// inputHeaders returns the headers that the policy reads.
func (p *Policy) inputHeaders(header http.Header) map[string][]string {
	if len(p.InputHeaders) == 0 {
		return nil
	}
	read := make(map[string][]string, len(p.InputHeaders))
	for _, name := range p.InputHeaders {
		if values := header[name]; len(values) > 0 {
			read[strings.ToLower(name)] = values
		}
	}
	return read
}

// logDecision writes a decision into the decision log. One that failed is an error and not a decision.
func (d *Door) logDecision(r *http.Request, made *decision) {
	d.Host.AddLogFields(r, zap.String("m2m_decision", made.id))
	if made.refused != nil && made.refused.cause != nil {
		d.Logger.Error("deciding on a request failed", zap.String("decision_id", made.id), zap.String("issuer", made.input.Issuer),
			zap.Bool("observe", d.Policy.Observe), zap.Error(made.refused.cause))
		return
	}
	c := d.Policy.Log.Check(zap.InfoLevel, "request decision")
	if c == nil {
		return
	}
	event := decisionlog.RequestEvent(&made.input, &made.result)
	event.ID = made.id
	event.Add(zap.Bool("observe", d.Policy.Observe))
	if err := event.Write(r.Context(), c, d.Policy.Engine); err != nil {
		d.metricsOf(made.input.Issuer).Failed(err)
	}
}
