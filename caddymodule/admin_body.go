package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	strictjson "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

const (
	maxAdminBody = 1 << 20
	maxApplyBody = 64 << 20
)

// body reads a body of one of the media types, of a limited size.
func (a *adminRequest) body(limit int64, mediaTypes ...string) (data []byte, mediaType string, err error) {
	mediaType, _, err = mime.ParseMediaType(a.r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(mediaTypes, mediaType) {
		return nil, "", &adminError{status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
			Message: "the Content-Type must be " + strings.Join(mediaTypes, " or ")}
	}
	data, err = io.ReadAll(http.MaxBytesReader(a.w, a.r.Body, limit))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, "", tooLarge(limit)
	}
	if err != nil {
		return nil, "", invalid("the body cannot be read")
	}
	return data, mediaType, nil
}

// decode reads a JSON object that has no other fields than the target; no body at all is an empty one.
func (a *adminRequest) decode(into any) error {
	if a.r.ContentLength == 0 {
		return nil
	}
	data, _, err := a.body(maxAdminBody, "application/json")
	if err != nil {
		return err
	}
	return decodeStrictly(data, into)
}

// decodeStrictly reads a JSON object into a struct, or into a map, where numbers stay as they were
// written. Names count with their case, and count once.
func decodeStrictly(data []byte, into any) error {
	if !jsontext.Value(data).IsValid() {
		return invalid("the body: it is no JSON value, or a name in it is repeated")
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return invalid("the body: it must be a JSON object")
	}
	var err error
	if _, object := into.(*map[string]any); object {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		err = decoder.Decode(into)
	} else {
		err = strictjson.Unmarshal(data, into, strictjson.RejectUnknownMembers(true))
	}
	if err != nil {
		return invalid("the body: %v", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// flag is a query parameter that is true or false; it is false when it is missing.
func (a *adminRequest) flag(name string) (bool, error) {
	switch a.query.Get(name) {
	case "":
		if a.query.Has(name) {
			return false, invalid("query parameter %q is true or false", name)
		}
		return false, nil
	case "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, invalid("query parameter %q is true or false", name)
}

// page is what a list is asked for: one more than the limit, to know whether there are more.
func (a *adminRequest) page() (limit int, err error) {
	text := a.query.Get("limit")
	if text == "" {
		return 100, nil
	}
	limit, err = strconv.Atoi(text)
	if err != nil || limit < 1 || limit > 1000 {
		return 0, invalid("limit is a number from 1 to 1000")
	}
	return limit, nil
}

// checkVersion holds If-Match against what is stored (RFC 9110 §13.1.1). The answer is 409 and not
// 412, as for any change that others have overtaken.
func (a *adminRequest) checkVersion(entry any) error {
	header := a.r.Header.Get("If-Match")
	if header == "" || header == "*" {
		return nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(tag) == etag(entry) {
			return nil
		}
	}
	return conflict("version_conflict", "somebody else has changed it meanwhile: look at it again, then try again")
}

func etag(entry any) string { return `"` + registry.VersionOf(entry) + `"` }

// writeEntry answers with one entry and its version, or 304 where the asker has it.
func (a *adminRequest) writeEntry(status int, entry, view any) error {
	tag := etag(entry)
	a.w.Header().Set("ETag", tag)
	if a.r.Method == http.MethodGet && a.r.Header.Get("If-None-Match") == tag {
		a.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeAdminJSON(a.w, status, view)
	return nil
}

// creatable is writable for what has no version: who sends one must not believe that it is looked at.
func (a *adminRequest) creatable() (*registry.Store, error) {
	if a.r.Header.Get("If-Match") != "" {
		return nil, invalid("If-Match is not taken here")
	}
	return a.writable()
}

// writable is the issuer's registry if it can be changed.
func (a *adminRequest) writable() (*registry.Store, error) {
	if a.issuer.store == nil {
		return nil, conflict("read_only", "the registry of this issuer is the file %s: edit that", a.issuer.Registry.Path)
	}
	return a.issuer.store, nil
}
