package caddymodule

import (
	"context"
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// explainRequest tells what a client would be given, and why. It changes nothing, and issues nothing.
func explainRequest(a *adminRequest) error {
	data, _, err := a.body(maxAdminBody, "application/json")
	if err != nil {
		return err
	}
	var asked explainAsked
	if err := decodeStrictly(data, &asked); err != nil {
		return err
	}
	told, err := a.issuer.tell(a.r.Context(), asked, a.app.doors)
	if err != nil {
		return err
	}
	writeAdminJSON(a.w, http.StatusOK, told)
	return nil
}

// tell explains what is asked, be it at the API or on the command line.
func (i *Issuer) tell(ctx context.Context, asked explainAsked, doors []*AuthHandler) (*explanation, error) {
	if err := asked.check(); err != nil {
		return nil, err
	}
	e, err := i.explain(ctx, asked)
	if isNotFound(err) {
		return nil, notFound("there is no client %q", asked.Client)
	}
	if err == nil && asked.Request != nil {
		err = e.explainProxied(ctx, asked.Request, doors)
	}
	if err != nil {
		return nil, err
	}
	return e.told, nil
}

// check finds what no request could have, or be.
func (asked *explainAsked) check() error {
	if asked.Request != nil && asked.Request.RemoteIP == "" {
		asked.Request.RemoteIP = asked.RemoteIP
	}
	switch {
	case asked.Client == "":
		return invalid("client is missing")
	case len(asked.Scopes) > maxScopes:
		return invalid("more than %d scopes", maxScopes)
	case len(asked.Audience) > oauth.MaxResources:
		return invalid("more than %d audiences", oauth.MaxResources)
	case !isAddress(asked.RemoteIP) || asked.Request != nil && !isAddress(asked.Request.RemoteIP):
		return invalid("remote_ip is no IP address")
	}
	return nil
}
