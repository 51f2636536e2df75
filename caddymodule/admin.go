package caddymodule

import (
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/admin"
	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(new(adminAPI)) }

// adminAPI is the module that serves the admin API below /m2m/ on Caddy's admin endpoint.
type adminAPI struct{ handler http.Handler }

// CaddyModule returns the ID and the constructor of the module.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.m2m", New: func() caddy.Module { return &adminAPI{admin.New(runningSystem)} }}
}

// Routes returns the route of the API. Caddy checks Host and Origin first.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/m2m/", Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		a.handler.ServeHTTP(w, r)
		return nil
	})}}
}

// runningSystem returns what the API administers: the app of the running config, or nil if there is none. The API is
// created before the app, and outlives it.
func runningSystem() *admin.System {
	module, err := caddy.ActiveContext().AppIfConfigured("m2m")
	if err != nil {
		return nil
	}
	app := module.(*App)
	return &admin.System{Issuers: app.servers(), Doors: app.runtimeDoors(), Remotes: app.remotes}
}

var _ caddy.AdminRouter = (*adminAPI)(nil)
