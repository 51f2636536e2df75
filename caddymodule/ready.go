package caddymodule

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
)

// ReadyHandler is the directive m2m_ready. It tells a load balancer whether this node can do its work. It answers 200 if
// each issuer of the app has keys, a policy and a registry, and each m2m_auth has its own policy, the keys of its remote
// issuers, and what those have revoked if they publish it. The last good version of each is enough, even if a newer one
// is broken. Otherwise it answers 503, and the body says which issuer lacks what. It reads memory only.
//
// With this handler in the config, the keys of remote issuers are fetched at start and kept fresh without requests.
// Otherwise only a token causes a fetch, and a load balancer may never send one.
type ReadyHandler struct {
	app  *App
	logs accessLogs
}

// CaddyModule returns the ID and the constructor of the handler.
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

type readiness struct {
	Ready   bool            `json:"ready"`
	Issuers []issuerLacking `json:"issuers,omitempty"`
}

// issuerLacking is an issuer that is not ready.
type issuerLacking struct {
	Issuer string   `json:"issuer"`
	Lacks  []string `json:"lacks"`
}

// What an issuer can lack, in addition to the constants of package issuer.
const (
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

// lacking returns the issuers that are not ready. Those of the app come first.
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
		for _, what := range issuer.Lacks() {
			add(issuer.URL, what)
		}
	}
	for _, door := range a.doors {
		for _, t := range door.trusted {
			if t.remote != nil && !t.remote.KeysUsable() {
				add(t.URL, issuer.LacksKeys)
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

var (
	_ caddy.Provisioner           = (*ReadyHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*ReadyHandler)(nil)
)
