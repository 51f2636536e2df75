// Package admin is the admin API, an http.Handler below /m2m/: the administration of registries, keys and revocations, and
// explanations of decisions. New is its entry point. It imports issuer, door, remote and what they consist of, and
// admin/api, which has the types of its requests and answers. It does not know Caddy.
package admin

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
)

// System is what the API administers.
type System struct {
	Issuers []*issuer.Server
	Doors   []*door.Door
	Remotes map[string]*remote.Issuer // by URL
}

// route has a pattern for net/http.ServeMux, and the query parameters that it takes besides "issuer".
type route struct {
	pattern string
	query   []string
	serve   func(*request) error
}

// Routes about all issuers, or about all unless the query chooses one.
const (
	overAllIssuers  = "GET /m2m/issuers"
	overSomeIssuers = "GET /m2m/status"
	overNoIssuer    = "GET /m2m/{$}"
)

// New returns the handler of the API, which writes its errors itself. running returns what runs when a request comes, nil
// if nothing does.
func New(running func() *System) http.Handler {
	mux := http.NewServeMux()
	for _, route := range routes() {
		mux.Handle(route.pattern, route.handler(running))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if handler, pattern := mux.Handler(r); pattern == "" {
			refuseRoute(handler, w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func routes() []route {
	page := []string{"prefix", "after", "limit"}
	return []route{
		{overNoIssuer, nil, listRoutes},
		{overAllIssuers, nil, listIssuers},
		{overSomeIssuers, nil, serveStatus},
		{"GET /m2m/clients", page, listClients},
		{"POST /m2m/clients", nil, createClient},
		{"GET /m2m/clients/{id}", nil, showClient},
		{"PATCH /m2m/clients/{id}", nil, patchClient},
		{"DELETE /m2m/clients/{id}", nil, deleteClient},
		{"POST /m2m/clients/{id}/disable", nil, disableClient},
		{"POST /m2m/clients/{id}/enable", nil, enableClient},
		{"GET /m2m/clients/{id}/secrets", nil, listSecrets},
		{"POST /m2m/clients/{id}/secrets", nil, createSecret},
		{"POST /m2m/clients/{id}/secrets/rotate", []string{"force"}, rotateSecret},
		{"DELETE /m2m/clients/{id}/secrets/{secret}", []string{"force"}, revokeSecret},
		{"GET /m2m/clients/{id}/keys", nil, listClientKeys},
		{"POST /m2m/clients/{id}/keys", nil, addClientKey},
		{"DELETE /m2m/clients/{id}/keys/{key}", nil, removeClientKey},
		{"GET /m2m/clients/{id}/grants", nil, listGrants},
		{"POST /m2m/clients/{id}/grants", nil, addGrant},
		{"DELETE /m2m/clients/{id}/grants", []string{"scope", "effect"}, removeGrant},
		{"GET /m2m/resources", page, listResources},
		{"POST /m2m/resources", nil, createResource},
		{"GET /m2m/resources/{code}", nil, showResource},
		{"PATCH /m2m/resources/{code}", nil, patchResource},
		{"DELETE /m2m/resources/{code}", nil, deleteResource},
		{"GET /m2m/revocations", []string{"after", "limit"}, listRevocations},
		{"POST /m2m/revocations", nil, createRevocation},
		{"GET /m2m/keys", nil, listKeys},
		{"POST /m2m/keys/rotate", nil, rotateKey},
		{"POST /m2m/explain", nil, explainRequest},
		{"POST /m2m/apply", []string{"dry_run", "prune"}, applyFile},
		{"GET /m2m/export", []string{"format", "without_secrets"}, exportFile},
	}
}

func (route route) handler(running func() *System) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := newRequest(w, r, running(), route.query)
		if err == nil {
			err = route.serve(request)
		}
		if err != nil {
			writeError(w, err)
		}
	})
}

// refuseRoute writes as JSON what the mux answers in plain text: that there is no such route, or which methods it takes.
func refuseRoute(plain http.Handler, w http.ResponseWriter, r *http.Request) {
	answer := plainAnswer{header: make(http.Header)}
	plain.ServeHTTP(&answer, r)
	if answer.status != http.StatusMethodNotAllowed {
		writeError(w, api.NotFound("there is no such route: %s; GET /m2m/ lists the routes", r.URL.Path))
		return
	}
	allowed := answer.header.Get("Allow")
	w.Header().Set("Allow", allowed)
	writeError(w, api.Errorf(api.CodeMethodNotAllowed, "%s takes %s", r.URL.Path, allowed))
}

// plainAnswer drops the body of an answer.
type plainAnswer struct {
	header http.Header
	status int
}

func (a *plainAnswer) Header() http.Header            { return a.header }
func (a *plainAnswer) WriteHeader(status int)         { a.status = status }
func (a *plainAnswer) Write(body []byte) (int, error) { return len(body), nil }

// request is one request at the API.
type request struct {
	w      http.ResponseWriter
	r      *http.Request
	query  url.Values
	system *System
	issuer *issuer.Server // nil if the request is about all issuers
}

// newRequest checks the query and finds the issuer that it chooses.
func newRequest(w http.ResponseWriter, r *http.Request, system *System, parameters []string) (*request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, api.Invalid("the query is malformed")
	}
	for name, values := range query {
		if (name != "issuer" || r.Pattern == overAllIssuers || r.Pattern == overNoIssuer) && !slices.Contains(parameters, name) {
			return nil, api.Invalid("unknown query parameter %q", name)
		}
		if len(values) > 1 && name != "scope" { // a list
			return nil, api.Invalid("query parameter %q is repeated", name)
		}
	}
	a := &request{w: w, r: r, query: query, system: system}
	if r.Pattern == overNoIssuer {
		return a, nil
	}
	if system == nil {
		return nil, api.Errorf(api.CodeNotConfigured, "the running config has no m2m app")
	}
	if r.Pattern == overAllIssuers || r.Pattern == overSomeIssuers && !query.Has("issuer") {
		return a, nil
	}
	a.issuer, err = a.chooseIssuer()
	return a, err
}

func (a *request) chooseIssuer() (*issuer.Server, error) {
	chosen := a.query.Get("issuer")
	issuers := a.system.Issuers
	if chosen != "" {
		for _, issuer := range issuers {
			if issuer.URL == chosen {
				return issuer, nil
			}
		}
		return nil, api.NotFound("there is no issuer %q here", credential.WithoutUserInfo(chosen))
	}
	switch len(issuers) {
	case 0:
		return nil, api.NotFound("there is no issuer here")
	case 1:
		return issuers[0], nil
	}
	return nil, api.Errorf(api.CodeIssuerRequired, "there are %d issuers: choose one with ?issuer=<url>", len(issuers))
}
