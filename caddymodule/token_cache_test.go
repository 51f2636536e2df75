package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// lookups are the good tokens that doors have seen, as verified, minted and missed.
func (w *issuerWorld) lookups() string {
	w.t.Helper()
	var counts []string
	for _, result := range []string{"verified", "minted", "missed"} {
		counts = append(counts, w.metric("token_cache_lookups_total", fmt.Sprintf("result=%q", result)))
	}
	return strings.Join(counts, " ")
}

// TestTokenCacheSurvivesAReload: a token that this process has minted needs no check of its signature at any door, also after
// a reload, and a stricter door refuses it all the same.
func TestTokenCacheSurvivesAReload(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "audience " + issuerAudience, site: `
		m2m_auth /books/*
		respond /books/* ok
		m2m_auth /films/* {
			audience https://films.example.com
		}
		respond /films/* ok
		m2m_auth /all/* {
			audience https://films.example.com ` + issuerAudience + `
		}
		respond /all/* ok`})
	want := func(path, raw string, status int) {
		t.Helper()
		if a := w.get(w.url+path, "Authorization", "Bearer "+raw); a.status != status {
			t.Errorf("%s: %s", path, a)
		}
	}
	reload := func(caddyfile string) {
		t.Helper()
		if err := w.Load(caddyfile); err != nil {
			t.Fatal(err)
		}
	}
	first, second := *w.ask("demo", "book:read").AccessToken, *w.ask("demo", "book:1:read").AccessToken
	if n := w.metric("token_cache_tokens", `kind="minted"`); n != "2" {
		t.Errorf("%s tokens are known as minted", n)
	}
	want("/books/1", first, http.StatusOK)
	want("/books/1", first, http.StatusOK)
	want("/all/1", first, http.StatusOK)
	want("/films/1", first, http.StatusUnauthorized)
	if got := w.lookups(); got != "1 2 0" {
		t.Errorf("before the reload: %s", got)
	}
	reload(w.caddyfile() + "# reloaded\n")
	want("/films/1", second, http.StatusUnauthorized)
	want("/all/1", second, http.StatusOK)
	want("/books/1", second, http.StatusOK)
	want("/books/1", first, http.StatusOK)
	if got := w.lookups(); got != "2 1 0" {
		t.Errorf("after the reload: %s", got)
	}
	if minted, verified := w.metric("token_cache_tokens", `kind="minted"`), w.metric("token_cache_tokens", `kind="verified"`); minted != "0" || verified != "2" {
		t.Errorf("%s minted and %s verified tokens are known", minted, verified)
	}
	reload(strings.Replace(w.caddyfile(), "m2m {\n", "m2m {\ntoken_cache 1MiB\n", 1))
	want("/books/1", first, http.StatusOK)
	if got := w.lookups(); got != "0 0 1" {
		t.Errorf("with another size: %s", got)
	}
}

// TestWithdrawnKeyAfterReload: when the key was given up, no door accepts its tokens, whether they were used before or not.
func TestWithdrawnKeyAfterReload(t *testing.T) {
	w := startIntrospection(t)
	w.Admin = strings.TrimPrefix(servertest.FreeURL(t), "http://")
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	used, fresh, unused, ended := w.token("careful"), w.token("careful"), w.token("careful"), w.token("demo")
	if a := w.atDoor(used); a.status != http.StatusOK {
		t.Fatalf("before: %s", a)
	}
	w.admin("/m2m/revocations", `{"client_id": "demo"}`)
	w.revokedAtDoor(ended) // although it was never used
	if err := w.Load(w.caddyfile() + "# reloaded\n"); err != nil {
		t.Fatal(err)
	}
	w.revokedAtDoor(ended)
	if a := w.atDoor(fresh); a.status != http.StatusOK || w.lookups() != "0 1 1" { // a revoked token is forgotten
		t.Errorf("after the reload: %s, %s", a, w.lookups())
	}
	w.admin("/m2m/keys/rotate", `{"now": true, "reason": "leaked"}`)
	for range 2 {
		for name, raw := range map[string]string{"used": used, "fresh": fresh, "unused": unused} {
			if a := w.atDoor(raw); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "unknown_key") {
				t.Errorf("%s: %s", name, a)
			}
		}
		if err := w.Load(w.caddyfile() + "# reloaded again\n"); err != nil {
			t.Fatal(err)
		}
	}
}
