package decisionlog

import (
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// What follows writes the inputs of decisions as encoding/json would, but without its cost: there is
// one for every token. An empty list is [], as policies see it.

type loggedTokenInput policy.TokenInput

// MarshalLogObject writes the input of a token decision.
func (in *loggedTokenInput) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("issuer", in.Issuer)
	if err := object.AddObject("client", (*loggedClient)(&in.Client)); err != nil {
		return err
	}
	if err := object.AddArray("scopes", (*loggedScopes)(&in.Scopes)); err != nil {
		return err
	}
	if err := object.AddObject("resources", loggedResources(in.Resources)); err != nil {
		return err
	}
	return object.AddObject("request", (*loggedTokenRequest)(&in.Request))
}

type loggedClient policy.Client

func (c *loggedClient) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("id", c.ID)
	object.AddString("description", c.Description)
	if err := addAny(object, "attributes", c.Attributes); err != nil {
		return err
	}
	if err := object.AddArray("audiences", (*loggedTexts)(&c.Audiences)); err != nil {
		return err
	}
	if err := object.AddArray("networks", (*loggedTexts)(&c.Networks)); err != nil {
		return err
	}
	return object.AddArray("grants", (*loggedGrants)(&c.Grants))
}

type loggedGrants []scope.Grant

func (grants *loggedGrants) MarshalLogArray(array zapcore.ArrayEncoder) error {
	for i := range *grants {
		if err := array.AppendObject((*loggedGrant)(&(*grants)[i])); err != nil {
			return err
		}
	}
	return nil
}

type loggedGrant scope.Grant

func (g *loggedGrant) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("resource", g.Resource)
	if err := object.AddArray("identifiers", (*loggedTexts)(&g.Identifiers)); err != nil {
		return err
	}
	if err := object.AddArray("actions", (*loggedTexts)(&g.Actions)); err != nil {
		return err
	}
	object.AddString("effect", (*scope.Grant)(g).Effect())
	return nil
}

type loggedScopes []scope.Scope

func (scopes *loggedScopes) MarshalLogArray(array zapcore.ArrayEncoder) error {
	for i := range *scopes {
		if err := array.AppendObject((*loggedScope)(&(*scopes)[i])); err != nil {
			return err
		}
	}
	return nil
}

type loggedScope scope.Scope

func (s *loggedScope) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("raw", s.Raw)
	object.AddString("resource", s.Resource)
	object.AddString("identifier", s.Identifier)
	object.AddString("action", s.Action)
	return nil
}

type loggedResources map[string]policy.Resource

func (resources loggedResources) MarshalLogObject(object zapcore.ObjectEncoder) error {
	for _, code := range sortedNames(resources) {
		r := resources[code]
		if err := object.AddObject(code, (*loggedResource)(&r)); err != nil {
			return err
		}
	}
	return nil
}

type loggedResource policy.Resource

func (r *loggedResource) MarshalLogObject(object zapcore.ObjectEncoder) error {
	if err := object.AddArray("actions", (*loggedTexts)(&r.Actions)); err != nil {
		return err
	}
	object.AddString("audience", r.Audience)
	return addAny(object, "attributes", r.Attributes)
}

type loggedTokenRequest policy.TokenRequest

func (r *loggedTokenRequest) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("remote_ip", r.RemoteIP)
	object.AddString("auth_method", r.AuthMethod)
	return object.AddArray("audience", (*loggedTexts)(&r.Audience))
}

type loggedRequestInput policy.RequestInput

// MarshalLogObject writes the input of a decision on a proxied request.
func (in *loggedRequestInput) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("issuer", in.Issuer)
	if err := object.AddObject("request", (*loggedProxiedRequest)(&in.Request)); err != nil {
		return err
	}
	return object.AddObject("token", (*loggedToken)(&in.Token))
}

type loggedProxiedRequest policy.ProxiedRequest

func (r *loggedProxiedRequest) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("method", r.Method)
	object.AddString("host", r.Host)
	if err := object.AddArray("path", (*loggedTexts)(&r.Path)); err != nil {
		return err
	}
	if err := object.AddObject("route", (*loggedRoute)(&r.Route)); err != nil {
		return err
	}
	object.AddString("remote_ip", r.RemoteIP)
	return object.AddObject("headers", loggedHeaders(r.Headers))
}

type loggedRoute policy.Route

func (r *loggedRoute) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("pattern", r.Pattern)
	return object.AddObject("parameters", loggedTextMap(r.Parameters))
}

type loggedHeaders map[string][]string

func (headers loggedHeaders) MarshalLogObject(object zapcore.ObjectEncoder) error {
	for _, name := range sortedNames(headers) {
		values := headers[name]
		if err := object.AddArray(name, (*loggedTexts)(&values)); err != nil {
			return err
		}
	}
	return nil
}

type loggedToken policy.Token

func (t *loggedToken) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("client_id", t.ClientID)
	object.AddString("subject", t.Subject)
	if err := object.AddArray("scopes", (*loggedScopes)(&t.Scopes)); err != nil {
		return err
	}
	return addAny(object, "claims", t.Claims)
}
