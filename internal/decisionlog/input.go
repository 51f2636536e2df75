package decisionlog

import (
	"errors"

	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// The types below write the inputs of decisions as encoding/json does, but with fewer allocations, because there is one
// for each token: pointers to them are log marshalers without any. A walk by reflection over the types of package policy
// would allocate one for each object. An empty list is [], as policies see it. TestLoggedInputs and TestLoggedRequests
// fail if a field is missing here.

type loggedTokenInput policy.TokenInput

// MarshalLogObject writes the input of a token decision.
func (in *loggedTokenInput) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("issuer", in.Issuer)
	return errors.Join(
		addParty(object, "subject", in.Subject),
		addParty(object, "actor", in.Actor),
		object.AddObject("client", (*loggedClient)(in.Client)),
		object.AddArray("scopes", (*loggedScopes)(&in.Scopes)),
		object.AddObject("resources", loggedResources(in.Resources)),
		object.AddObject("request", (*loggedTokenRequest)(&in.Request)),
	)
}

// addParty adds a party if there is one.
func addParty(object zapcore.ObjectEncoder, name string, p *policy.Party) error {
	if p == nil {
		return nil
	}
	return object.AddObject(name, (*loggedParty)(p))
}

type loggedParty policy.Party

func (p *loggedParty) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("issuer", p.Issuer)
	object.AddString("subject", p.Subject)
	object.AddString("client_id", p.ClientID)
	object.AddString("type", p.Type)
	object.AddString("key_id", p.KeyID)
	return errors.Join(object.AddArray("scopes", (*loggedScopes)(&p.Scopes)), addAny(object, "claims", p.Claims))
}

type loggedClient policy.Client

func (c *loggedClient) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("id", c.ID)
	object.AddString("auth_method", c.AuthMethod)
	object.AddString("description", c.Description)
	return errors.Join(
		addAny(object, "attributes", c.Attributes),
		object.AddArray("audiences", (*loggedTexts)(&c.Audiences)),
		object.AddArray("networks", (*loggedTexts)(&c.Networks)),
		object.AddArray("grants", (*loggedGrants)(&c.Grants)),
	)
}

// Scanned implements logmask.Scanned.
func (c *loggedClient) Scanned() (size int, found bool) {
	return (*policy.Client)(c).Scanned(func() (int, bool) { return logmask.ScanObject(c) })
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
	err := errors.Join(object.AddArray("identifiers", (*loggedTexts)(&g.Identifiers)), object.AddArray("actions", (*loggedTexts)(&g.Actions)))
	object.AddString("effect", (*scope.Grant)(g).Effect())
	return err
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

type loggedResources map[string]*policy.Resource

func (resources loggedResources) MarshalLogObject(object zapcore.ObjectEncoder) error {
	var room names
	for _, code := range sortedNames(room[:0], resources) {
		if err := object.AddObject(code, (*loggedResource)(resources[code])); err != nil {
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

// Scanned implements logmask.Scanned.
func (r *loggedResource) Scanned() (size int, found bool) {
	return (*policy.Resource)(r).Scanned(func() (int, bool) { return logmask.ScanObject(r) })
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
	return errors.Join(object.AddObject("request", (*loggedProxiedRequest)(&in.Request)), object.AddObject("token", (*loggedToken)(&in.Token)))
}

type loggedProxiedRequest policy.ProxiedRequest

func (r *loggedProxiedRequest) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("method", r.Method)
	object.AddString("host", r.Host)
	err := errors.Join(object.AddArray("path", (*loggedTexts)(&r.Path)), object.AddObject("route", (*loggedRoute)(&r.Route)))
	object.AddString("remote_ip", r.RemoteIP)
	return errors.Join(err, object.AddObject("headers", loggedHeaders(r.Headers)))
}

type loggedRoute policy.Route

func (r *loggedRoute) MarshalLogObject(object zapcore.ObjectEncoder) error {
	object.AddString("pattern", r.Pattern)
	return object.AddObject("parameters", loggedTextMap(r.Parameters))
}

type loggedHeaders map[string][]string

func (headers loggedHeaders) MarshalLogObject(object zapcore.ObjectEncoder) error {
	var room names
	for _, name := range sortedNames(room[:0], headers) {
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
	return errors.Join(object.AddArray("scopes", (*loggedScopes)(&t.Scopes)), addAny(object, "claims", t.Claims))
}
