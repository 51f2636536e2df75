package admin

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// explainRequest explains the decision on a token request. It changes nothing and issues nothing.
func explainRequest(a *request) error {
	asked, err := a.explainAsked()
	if err != nil {
		return err
	}
	explanation, err := Explain(a.r.Context(), a.issuer, asked, a.system.Doors)
	if err != nil {
		return err
	}
	writeJSON(a.w, http.StatusOK, explanation)
	return nil
}

// Explain explains a request, for the API and for the command that needs no server.
func Explain(ctx context.Context, i *issuer.Server, asked api.ExplainRequest, doors []*door.Door) (*api.Explanation, error) {
	if err := checkAsked(asked); err != nil {
		return nil, err
	}
	if asked.Time.IsZero() {
		asked.Time = time.Now()
	}
	explanation, claims, err := i.Explain(ctx, asked)
	if isNotFound(err) {
		return nil, clients.notFound(asked.Client)
	}
	if err != nil || asked.Request == nil {
		return explanation, err
	}
	proxied := *asked.Request
	proxied.RemoteIP = cmp.Or(proxied.RemoteIP, asked.RemoteIP)
	explanation.Doors, err = door.Explain(ctx, doors, door.Question{
		Request: &proxied, Issuer: i.URL, Claims: claims, Bound: explanation.BoundTo, Trace: asked.Trace, Time: asked.Time,
	})
	letThrough, refused := false, false
	for _, d := range explanation.Doors {
		letThrough = letThrough || d.LetThrough
		refused = refused || !d.LetThrough && d.TakesToken
	}
	explanation.Passes = explanation.Passes && letThrough && !refused
	return explanation, err
}

// checkAsked refuses a request that cannot exist.
func checkAsked(asked api.ExplainRequest) error {
	switch {
	case asked.Client == "" && asked.Assertion == "":
		return api.Invalid("client is missing")
	case asked.Assertion != "" && asked.AuthMethod != "":
		return api.Invalid("auth_method is that of the assertion")
	case asked.Assertion != "" && asked.Subject != nil:
		return api.Invalid("an assertion and a subject cannot be explained together")
	case len(asked.Scopes) > issuer.MaxScopes:
		return api.Invalid("more than %d scopes", issuer.MaxScopes)
	case len(asked.Audience) > oauth.MaxResources:
		return api.Invalid("more than %d audiences", oauth.MaxResources)
	case !isAddress(asked.RemoteIP) || asked.Request != nil && !isAddress(asked.Request.RemoteIP):
		return api.Invalid("remote_ip is not an IP address")
	}
	return nil
}

func (a *request) explainAsked() (api.ExplainRequest, error) {
	var asked api.ExplainRequest
	f := a.fields("an explanation", "client", "scopes", "remote_ip", "audience", "auth_method", "time", "trace", "request", "assertion", "subject")
	f.take("client", "a string", &asked.Client)
	f.take("scopes", "a list of strings", &asked.Scopes)
	f.take("remote_ip", "a string", &asked.RemoteIP)
	f.take("audience", "a list of strings", &asked.Audience)
	f.take("auth_method", "a string", &asked.AuthMethod)
	f.take("assertion", "a string", &asked.Assertion)
	f.take("subject", "an object", &asked.Subject)
	f.time("time", &asked.Time)
	asked.Trace = f.flag("trace", false)
	inner := &bodyFields{of: "request."}
	if f.take("request", "an object with method, url, and perhaps headers, remote_ip and door", &inner.raw) {
		inner.check("request", "method", "url", "headers", "remote_ip", "door")
		asked.Request = new(api.ProxiedRequest)
		inner.take("method", "a string", &asked.Request.Method)
		inner.take("url", "a string", &asked.Request.URL)
		inner.take("headers", "an object of strings", &asked.Request.Headers)
		inner.take("remote_ip", "a string", &asked.Request.RemoteIP)
		inner.take("door", "a whole number", &asked.Request.Door)
	}
	return asked, cmp.Or(f.err, inner.err)
}

// isAddress reports whether a remote address is an IP address or empty.
func isAddress(text string) bool {
	if text == "" {
		return true
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}
