package caddymodule_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkDoor is a request through Caddy's server without the network: to a handler alone, and to a door before it.
func BenchmarkDoor(b *testing.B) {
	w := startIssuer(b, issuerSettings{options: "audience " + issuerAudience, site: `
		respond /plain/* ok
		m2m_auth /token/*
		respond /token/* ok
		m2m_auth /routes/* {
			require GET /routes/{id} book:{id}:read
			require PUT /routes/{id} book:{id}:edit
		}
		respond /routes/* ok`})
	raw := *w.ask("demo", "book:read").AccessToken
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	server := app.(*caddyhttp.App).Servers["srv0"]
	serve := func(path, raw string) {
		r := httptest.NewRequest(http.MethodGet, w.url+path, nil)
		r.Header = http.Header{
			"Authorization": {"Bearer " + raw}, "User-Agent": {"bench"}, "Accept-Encoding": {"gzip"},
		}
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, r)
		if answer.Code != http.StatusOK {
			b.Fatalf("%d %s", answer.Code, answer.Body)
		}
	}
	for _, path := range []string{"/plain/1", "/token/1", "/routes/1"} {
		serve(path, raw)
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				serve(path, raw)
			}
		})
	}
}
