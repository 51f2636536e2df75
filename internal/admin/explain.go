package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// explainRequest tells what a client would be given, and why. It changes nothing, and issues nothing.
func explainRequest(a *request) error {
	asked, err := a.explainAsked()
	if err != nil {
		return err
	}
	told, err := Explain(a.r.Context(), a.issuer, asked, a.system.Doors)
	if err != nil {
		return err
	}
	writeJSON(a.w, http.StatusOK, told)
	return nil
}

// Explain explains what is asked, be it at the API or on the command line.
func Explain(ctx context.Context, i *issuer.Server, asked api.ExplainRequest, doors []*door.Door) (*api.Explanation, error) {
	if err := checkAsked(&asked); err != nil {
		return nil, err
	}
	e, err := i.Explain(ctx, asked)
	if isNotFound(err) {
		return nil, api.NotFound("there is no client %q", asked.Client)
	}
	if err == nil && asked.Request != nil {
		err = explainProxied(ctx, e, asked.Trace, asked.Request, doors)
	}
	if err != nil {
		return nil, err
	}
	return e.Explanation, nil
}

// explainProxied has the doors of the issuer judge a request with the token that would be issued.
func explainProxied(ctx context.Context, e *issuer.Explaining, trace bool, asked *api.ProxiedRequest, all []*door.Door) error {
	var err error
	e.Explanation.Doors, err = door.Explain(ctx, all, door.Question{
		Request: asked, Issuer: e.Explanation.Issuer, Claims: e.Token, Trace: trace, Time: e.Time(),
	})
	if err != nil {
		return err
	}
	letThrough, refused := false, false
	for _, d := range e.Explanation.Doors {
		letThrough = letThrough || d.LetThrough
		refused = refused || !d.LetThrough && d.TakesToken
	}
	e.Explanation.Passes = e.Explanation.Passes && letThrough && !refused
	return nil
}

// checkAsked refuses a request that cannot exist.
func checkAsked(asked *api.ExplainRequest) error {
	if asked.Request != nil && asked.Request.RemoteIP == "" {
		asked.Request.RemoteIP = asked.RemoteIP
	}
	switch {
	case asked.Client == "":
		return api.Invalid("client is missing")
	case len(asked.Scopes) > issuer.MaxScopes:
		return api.Invalid("more than %d scopes", issuer.MaxScopes)
	case len(asked.Audience) > oauth.MaxResources:
		return api.Invalid("more than %d audiences", oauth.MaxResources)
	case !isAddress(asked.RemoteIP) || asked.Request != nil && !isAddress(asked.Request.RemoteIP):
		return api.Invalid("remote_ip is no IP address")
	}
	return nil
}

// explainAsked reads the body.
func (a *request) explainAsked() (asked api.ExplainRequest, err error) {
	f, err := a.fields("an explanation", "client", "scopes", "remote_ip", "audience", "auth_method", "time", "trace", "request")
	if err != nil {
		return asked, err
	}
	var request json.RawMessage
	for _, take := range []struct {
		name, must string
		into       any
	}{
		{"client", "a string", &asked.Client},
		{"scopes", "a list of strings", &asked.Scopes},
		{"remote_ip", "a string", &asked.RemoteIP},
		{"audience", "a list of strings", &asked.Audience},
		{"auth_method", "a string", &asked.AuthMethod},
		{"time", "a time as in RFC 3339, such as 2027-01-31T00:00:00Z", &asked.Time},
		{"trace", "true or false", &asked.Trace},
		{"request", "an object", &request},
	} {
		if _, err := f.take(take.name, take.must, take.into); err != nil {
			return asked, err
		}
	}
	if request != nil {
		asked.Request, err = readProxied(request)
	}
	return asked, err
}

// readProxied reads the field request.
func readProxied(data json.RawMessage) (*api.ProxiedRequest, error) {
	var f bodyFields
	if json.Unmarshal(data, &f) != nil {
		return nil, api.Invalid("request must be an object with method, url, and perhaps headers, remote_ip and door")
	}
	if err := f.check("request", "method", "url", "headers", "remote_ip", "door"); err != nil {
		return nil, err
	}
	asked := new(api.ProxiedRequest)
	for _, take := range []struct {
		name, must string
		into       any
	}{
		{"method", "a string", &asked.Method},
		{"url", "a string", &asked.URL},
		{"headers", "an object of strings", &asked.Headers},
		{"remote_ip", "a string", &asked.RemoteIP},
		{"door", "a whole number", &asked.Door},
	} {
		if _, err := f.takeOf("request.", take.name, take.must, take.into); err != nil {
			return nil, err
		}
	}
	return asked, nil
}

// isAddress reports whether a remote address is an IP address or empty.
func isAddress(text string) bool {
	if text == "" {
		return true
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}
