package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

const errorsDoor = "m2m_auth {\nissuer ISSUER\naudience " + doorAudience + "\nrequire GET /books book:*:read\n}\nrespond through\n"

// TestTheBodyIsLeftToHandleErrors: a site can answer errors in its own way.
func TestTheBodyIsLeftToHandleErrors(t *testing.T) {
	d := newDoorSite(t, doorSite(errorsDoor+"handle_errors {\nheader Content-Type text/plain\nrespond `page {err.status_code}: {http.m2m.error}`\n}"))
	cases := map[string]struct {
		header http.Header
		status int
		body   string
	}{
		"401": {nil, 401, `page 401: {"error":"unauthorized",`},
		"400": {http.Header{"Authorization": {"Bearer a b"}}, 400, `page 400: {"error":"invalid_request",`},
		"403": {bearer(d.token("other")), 403, `page 403: {"error":"insufficient_scope",`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := d.ask("GET", "/books", c.header)
			if got.status != c.status || !strings.HasPrefix(got.body, c.body) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if !strings.HasSuffix(got.challenge(), doorMetadata) || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v", got.header)
			}
		})
	}
}

// TestTheBodyIsOursWhereNoErrorRouteAnswers: error routes of another host or status do not count.
func TestTheBodyIsOursWhereNoErrorRouteAnswers(t *testing.T) {
	for name, caddyfile := range map[string]string{
		"another site": strings.Replace(doorSite(errorsDoor), "ADDRESS", "ADDRESS, http://door.example.com:PORT", 1) +
			"http://other.example.com:PORT {\nbind 127.0.0.1\nhandle_errors {\nrespond other\n}\n}\n",
		"another status":            doorSite(errorsDoor + "handle_errors 404 5xx {\nrespond other\n}"),
		"another path":              doorSite(errorsDoor + "handle_errors {\nrespond /elsewhere other\n}"),
		"no error route, of course": doorSite(errorsDoor),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoorSite(t, caddyfile)
			got := d.ask("GET", "/books", nil)
			if got.status != http.StatusUnauthorized || got.reason() != "missing_token" || !strings.HasSuffix(got.challenge(), doorMetadata) {
				t.Errorf("%d %s %q", got.status, got.body, got.challenge())
			}
		})
	}
}

func TestHandleErrorsOfSomeStatuses(t *testing.T) {
	d := newDoorSite(t, doorSite(errorsDoor+"handle_errors 401 {\nrespond `page {err.status_code}`\n}"))
	if got := d.ask("GET", "/books", nil); got.status != http.StatusUnauthorized || got.body != "page 401" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := d.ask("GET", "/books", bearer(d.token("other"))); got.status != http.StatusForbidden || got.reason() != "insufficient_scope" {
		t.Errorf("%d %s", got.status, got.body)
	}
}
