package admin

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func listResources(a *request) error {
	limit, err := a.page()
	if err != nil {
		return err
	}
	all, err := a.resources()
	if err != nil {
		return err
	}
	answer := api.ResourceList{Resources: []*api.Resource{}}
	for _, r := range all {
		if !strings.HasPrefix(r.Code, a.query.Get("prefix")) || r.Code <= a.query.Get("after") {
			continue
		}
		if len(answer.Resources) == limit {
			answer.Next = answer.Resources[limit-1].Code
			break
		}
		answer.Resources = append(answer.Resources, viewResource(r))
	}
	writeJSON(a.w, http.StatusOK, answer)
	return nil
}

// resources returns all resources. It fails if one is broken, because the list would seem complete without it.
func (a *request) resources() ([]*registry.Resource, error) {
	all, err := a.issuer.Registry.Resources(a.r.Context())
	if err == nil && a.issuer.Store != nil {
		err = a.issuer.Store.Damage()
	}
	return all, err
}

func createResource(a *request) error {
	store, err := a.creatable()
	if err != nil {
		return err
	}
	fields := a.fields("a resource", append(registry.ResourceFields(), "code")...)
	code, _ := fields.text("code")
	if fields.err != nil {
		return fields.err
	}
	entry, err := json.Marshal(fields.raw)
	if err != nil {
		return err
	}
	resource, err := registry.ParseResource(code, entry)
	if err != nil {
		return err
	}
	created, err := resources.create(a, store, code, func() (*registry.Resource, error) { return resource, nil })
	if err != nil {
		return err
	}
	return a.writeEntry(http.StatusCreated, created, viewResource(created))
}

func showResource(a *request) error {
	resource, err := resources.find(a)
	if err != nil {
		return err
	}
	return a.writeEntry(http.StatusOK, resource, viewResource(resource))
}

func patchResource(a *request) error {
	patch, err := a.patch("code")
	if err != nil {
		return err
	}
	change, err := resources.edit(a, "resource.update", func(current *registry.Resource) (*registry.Resource, error) {
		data, err := mergeEntry(current, patch)
		if err != nil {
			return nil, err
		}
		return registry.ParseResource(current.Code, data)
	})
	if err != nil {
		return err
	}
	resource := change.After.(*registry.Resource)
	return a.writeEntry(http.StatusOK, resource, viewResource(resource))
}

func deleteResource(a *request) error {
	_, err := resources.edit(a, "resource.delete", func(*registry.Resource) (*registry.Resource, error) { return nil, nil })
	if err != nil {
		return err
	}
	a.w.WriteHeader(http.StatusNoContent)
	return nil
}
