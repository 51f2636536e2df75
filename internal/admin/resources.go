package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func isNotFound(err error) bool { return errors.Is(err, registry.ErrNotFound) }

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

// resources are all of them. That one is broken is an error, which names it: a list without it would pass
// for whole.
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
	fields, err := a.fields("a resource", append(registry.ResourceFields(), "code")...)
	if err != nil {
		return err
	}
	code, _, err := fields.text("code")
	if err != nil {
		return err
	}
	entry, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	resource, err := registry.ParseResource(code, entry)
	if err != nil {
		return err
	}
	change, err := store.EditResource(a.r.Context(), code, func(current *registry.Resource) (*registry.Resource, error) {
		if current != nil {
			return nil, api.Errorf(api.CodeExists, "resource %q exists already", code)
		}
		return resource, nil
	})
	if err != nil {
		return err
	}
	a.audit("resource.create", change)
	created := change.After.(*registry.Resource)
	a.w.Header().Set("Location", "/m2m/resources/"+url.PathEscape(code))
	return a.writeEntry(http.StatusCreated, created, viewResource(created))
}

func showResource(a *request) error {
	code := a.r.PathValue("code")
	resource, err := a.issuer.Registry.Resource(a.r.Context(), code)
	if isNotFound(err) {
		return api.NotFound("there is no resource %q", code)
	}
	if err != nil {
		return err
	}
	return a.writeEntry(http.StatusOK, resource, viewResource(resource))
}

// editResource changes the resource that the path names, if its version is the one that is asked for.
func (a *request) editResource(operation string, edit func(*registry.Resource) (*registry.Resource, error)) (registry.Change, error) {
	store, err := a.writable()
	if err != nil {
		return registry.Change{}, err
	}
	code := a.r.PathValue("code")
	change, err := store.EditResource(a.r.Context(), code, func(current *registry.Resource) (*registry.Resource, error) {
		if current == nil {
			return nil, api.NotFound("there is no resource %q", code)
		}
		if current.Damage != nil && operation != "resource.delete" {
			return nil, current.Damage
		}
		if err := a.checkVersion(current); err != nil {
			return nil, err
		}
		return edit(current)
	})
	if err == nil {
		a.audit(operation, change)
	}
	return change, err
}

func patchResource(a *request) error {
	patch, err := a.patch("code")
	if err != nil {
		return err
	}
	change, err := a.editResource("resource.update", func(current *registry.Resource) (*registry.Resource, error) {
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
	_, err := a.editResource("resource.delete", func(*registry.Resource) (*registry.Resource, error) { return nil, nil })
	if err != nil {
		return err
	}
	a.w.WriteHeader(http.StatusNoContent)
	return nil
}
