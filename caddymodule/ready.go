package caddymodule

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// ReadyHandler is the m2m_ready directive: it answers a load balancer whether this node can do its
// work. 200 means that every issuer of the app has keys, a policy in force and a registry that was
// read, and that every m2m_auth has the keys of its remote issuers, what they have revoked if they publish it, and its
// own policy; one that was
// good last, and serves on while there is a newer, broken one, is enough. Else it is 503, and the body
// says which issuer lacks what. It looks at what is in memory, whoever asks and however often.
//
// A config that has it fetches the keys of remote issuers at start, and keeps them fresh also without
// requests; else the first token would cause that, which a load balancer might never send.
type ReadyHandler struct {
	app  *App
	logs accessLogs
}

// CaddyModule says how Caddy finds the handler.
func (*ReadyHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.m2m_ready", New: func() caddy.Module { return new(ReadyHandler) }}
}

// Provision finds the app.
func (h *ReadyHandler) Provision(ctx caddy.Context) error {
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	app.keepKeys = true
	h.app, h.logs = app, newAccessLogs(ctx)
	return nil
}

// readiness is the body of the answer.
type readiness struct {
	Ready   bool            `json:"ready"`
	Issuers []issuerLacking `json:"issuers,omitempty"`
}

// issuerLacking is an issuer that is not ready.
type issuerLacking struct {
	Issuer string   `json:"issuer"`
	Lacks  []string `json:"lacks"`
}

// What an issuer may lack.
const (
	lacksKeys       = "keys"
	lacksRegistry   = "registry"
	lacksPolicy     = "policy"
	lacksDoorPolicy = "door_policy"
	lacksRevoked    = "revocations"
)

// ServeHTTP answers; there is no next handler.
func (h *ReadyHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	return h.logs.serve(w, r, h.serve)
}

func (h *ReadyHandler) serve(w http.ResponseWriter, r *http.Request) error {
	httpguard.BoundBody(w, r)
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	lacking := h.app.lacking()
	body, err := json.Marshal(readiness{Ready: len(lacking) == 0, Issuers: lacking})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if len(lacking) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, err = w.Write(body)
	return err
}

// lacking are the issuers that are not ready, each once, those of the app first.
func (a *App) lacking() []issuerLacking {
	var all []issuerLacking
	add := func(issuer, what string) {
		at := slices.IndexFunc(all, func(l issuerLacking) bool { return l.Issuer == issuer })
		if at < 0 {
			at, all = len(all), append(all, issuerLacking{Issuer: issuer})
		}
		if !slices.Contains(all[at].Lacks, what) {
			all[at].Lacks = append(all[at].Lacks, what)
		}
	}
	for _, issuer := range a.servers() {
		for _, what := range issuer.lacks() {
			add(issuer.URL, what)
		}
	}
	for _, door := range a.doors {
		for _, t := range door.trusted {
			if t.remote != nil && !t.remote.KeysUsable() {
				add(t.URL, lacksKeys)
			}
			if t.remote != nil && t.remote.CheckRevocations() != nil {
				add(t.URL, lacksRevoked)
			}
			if door.Policy != nil && door.Policy.own && door.Policy.engine.Revision() == "" {
				add(t.URL, lacksDoorPolicy)
			}
		}
	}
	return all
}

// lacks is what the issuer cannot issue tokens without, and does not have.
func (i *issuerServer) lacks() (what []string) {
	if i.keys.Revision() == "" {
		what = append(what, lacksKeys)
	}
	if i.store != nil && !i.store.Opened() { // a file is read before there is an issuer
		what = append(what, lacksRegistry)
	}
	if i.policy.Revision() == "" {
		what = append(what, lacksPolicy)
	}
	return what
}

var (
	_ caddy.Provisioner           = (*ReadyHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*ReadyHandler)(nil)
)
