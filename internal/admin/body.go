package admin

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// body reads a body of one of the media types.
func (a *request) body(limit int64, mediaTypes ...string) (data []byte, mediaType string, err error) {
	mediaType, _, err = mime.ParseMediaType(a.r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(mediaTypes, mediaType) {
		return nil, "", api.Errorf(api.CodeUnsupportedMediaType, "the Content-Type must be %s", strings.Join(mediaTypes, " or "))
	}
	if coding := a.r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, "", api.Errorf(api.CodeUnsupportedMediaType, "a body with a Content-Encoding is not accepted")
	}
	data, err = io.ReadAll(http.MaxBytesReader(a.w, a.r.Body, limit))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, "", api.Errorf(api.CodeTooLarge, "the body is larger than %d MiB", limit>>20)
	}
	if err != nil {
		return nil, "", api.Invalid("the body cannot be read")
	}
	return data, mediaType, nil
}

// flag returns a query parameter that is true or false, false if it is missing.
func (a *request) flag(name string) (bool, error) {
	switch value := a.query.Get(name); {
	case value == "false" || !a.query.Has(name):
		return false, nil
	case value == "true":
		return true, nil
	}
	return false, api.Invalid("query parameter %q must be true or false", name)
}

// page returns how many entries a page of a list has. Lists ask for one more, to know whether there is a next page.
func (a *request) page() (limit int, err error) {
	text := a.query.Get("limit")
	if text == "" {
		return api.DefaultPage, nil
	}
	limit, err = strconv.Atoi(text)
	if err != nil || limit < 1 || limit > api.MaxPage {
		return 0, api.Invalid("limit must be a number from 1 to %d", api.MaxPage)
	}
	return limit, nil
}

// checkVersion compares If-Match with the stored entry (RFC 9110 §13.1.1). The answer is 409 and not 412, as for all
// conflicts with another change.
func (a *request) checkVersion(entry any) error {
	values, given := a.r.Header["If-Match"]
	header := strings.TrimSpace(strings.Join(values, ","))
	if given && header == "" {
		return api.Invalid("If-Match is empty: it must hold the ETag of the entry")
	}
	if !given || header == "*" {
		return nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(tag) == etag(entry) {
			return nil
		}
	}
	return api.Errorf(api.CodeVersionConflict, "the entry has changed in the meantime: read it again, then retry")
}

func etag(entry any) string { return `"` + registry.VersionOf(entry) + `"` }

// writeEntry answers with an entry and its version, or with 304 if the client has that version.
func (a *request) writeEntry(status int, entry, view any) error {
	tag := etag(entry)
	a.w.Header().Set("ETag", tag)
	if a.r.Method == http.MethodGet && a.r.Header.Get("If-None-Match") == tag {
		a.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeJSON(a.w, status, view)
	return nil
}

// creatable is writable for an entry that does not exist yet, and so has no version.
func (a *request) creatable() (*store.Store, error) {
	if err := a.checkNoVersion(); err != nil {
		return nil, err
	}
	return a.writable()
}

// checkNoVersion refuses If-Match on a route that would ignore it.
func (a *request) checkNoVersion() error {
	if _, given := a.r.Header["If-Match"]; given {
		return api.Invalid("If-Match is not accepted here")
	}
	return nil
}

// writable returns the issuer's registry if it can be changed.
func (a *request) writable() (*store.Store, error) {
	if a.issuer.Store == nil {
		return nil, api.Errorf(api.CodeReadOnly, "the registry of this issuer is the file %s: edit that", a.issuer.RegistryPath)
	}
	return a.issuer.Store, nil
}
