package caddymodule

import (
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/admin"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(new(adminAPI)) }

// adminAPI is the module that serves the administration of issuers below /m2m/ on Caddy's admin endpoint.
type adminAPI struct{ handler http.Handler }

// CaddyModule says how Caddy finds the API.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.m2m", New: func() caddy.Module { return &adminAPI{admin.New(runningSystem)} }}
}

// Routes returns the one pattern under which Caddy serves the API, behind its own checks of Host and Origin.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/m2m/", Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		a.handler.ServeHTTP(w, r)
		return nil
	})}}
}

// runningSystem returns what the API administers: the app that runs now. The API is made before the app and outlives
// it. It returns nil if the running config has no m2m app.
func runningSystem() *admin.System {
	module, err := caddy.ActiveContext().AppIfConfigured("m2m")
	if err != nil {
		return nil
	}
	app := module.(*App)
	var doors []*door.Door
	for _, h := range app.doors {
		doors = append(doors, h.door)
	}
	return &admin.System{Issuers: app.servers(), Doors: doors, Remotes: app.remotes}
}

var _ caddy.AdminRouter = (*adminAPI)(nil)
