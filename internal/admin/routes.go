package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// listRoutes answers with all routes, also if the running config has no m2m app.
func listRoutes(a *request) error {
	list := api.RouteList{Description: "The admin API of caddy-m2m. The details are in docs/admin.md and docs/openapi.yaml."}
	for _, route := range routes() {
		method, path, _ := strings.Cut(route.pattern, " ")
		query := slices.Clone(route.query)
		if route.pattern != overNoIssuer && route.pattern != overAllIssuers {
			query = append(query, "issuer")
		}
		list.Routes = append(list.Routes, api.Route{Method: method, Path: strings.TrimSuffix(path, "{$}"), Query: query})
	}
	writeJSON(a.w, http.StatusOK, list)
	return nil
}
