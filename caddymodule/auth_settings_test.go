package caddymodule_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLeewayOfClocks(t *testing.T) {
	cases := []struct {
		setting string
		expired time.Duration // ago
		want    int
	}{
		{"", 20 * time.Second, 200},
		{"", 40 * time.Second, 401},
		{"leeway 0s", time.Second, 401},
		{"leeway 5m", 4 * time.Minute, 200},
		{"leeway 5m", 6 * time.Minute, 401},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s, %s late", c.setting, c.expired), func(t *testing.T) {
			d := newDoor(t, c.setting)
			late := map[string]any{"exp": time.Now().Add(-c.expired).Unix()}
			got := d.ask("GET", "/", bearer(d.issuer.Sign(d.issuer.Claims(doorAudience, "", late), nil)))
			if got.status != c.want {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

func TestAnyOfSeveralAudiences(t *testing.T) {
	d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience https://a.example.com/v1 https://b.example.com books\n}\nreverse_proxy UPSTREAM"))
	for audience, want := range map[string]int{
		"https://a.example.com/v1": 200, "https://b.example.com": 200, "books": 200, "https://a.example.com": 401, "book": 401,
		"HTTPS://A.example.com:443/v1": 200, "https://b.example.com/": 200, "https://a.example.com/v1/": 401, "https://a.example.com/x/../v1": 401, "Books": 401,
	} {
		if got := d.ask("GET", "/", bearer(d.issuer.Sign(d.issuer.Claims(audience, "", nil), nil))); got.status != want {
			t.Errorf("aud %s: %d %s", audience, got.status, got.body)
		}
	}
	many := map[string]any{"aud": []string{"https://other.example.com", "https://b.example.com"}}
	if got := d.ask("GET", "/", bearer(d.issuer.Sign(d.issuer.Claims("", "", many), nil))); got.status != http.StatusOK {
		t.Errorf("one of several: %d %s", got.status, got.body)
	}
	got := d.ask("GET", "/", nil)
	if want := `Bearer resource_metadata="https://a.example.com/.well-known/oauth-protected-resource/v1"`; got.challenge() != want {
		t.Errorf("challenge %q, want %q", got.challenge(), want)
	}
}

// TestResourceMetadata: the document that a challenge names says where to get a token (RFC 9728).
func TestResourceMetadata(t *testing.T) {
	d := newDoor(t, "")
	got := d.ask("GET", "/.well-known/oauth-protected-resource", nil)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", got.status, got.header)
	}
	for _, want := range []string{`"resource":"` + doorAudience + `"`, `"authorization_servers":["` + d.issuer.URL + `"]`, `"bearer_methods_supported":["header"]`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("%s lacks %s", got.body, want)
		}
	}
	if got := d.ask("POST", "/.well-known/oauth-protected-resource", nil); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.status)
	}
	if got := d.ask("GET", "/.well-known/oauth-protected-resource/v1", nil); got.status != http.StatusUnauthorized {
		t.Errorf("another document: %d %s", got.status, got.body)
	}
}

func TestResourceMetadataCanBeOff(t *testing.T) {
	for name, settings := range map[string]string{
		"by setting":        "audience " + doorAudience + "\nmetadata off",
		"for lack of a URL": "audience urn:example:books",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\n"+settings+"\n}\nreverse_proxy UPSTREAM"))
			got := d.ask("GET", "/.well-known/oauth-protected-resource", nil)
			if got.status != http.StatusUnauthorized || got.challenge() != `Bearer realm="protected resource"` {
				t.Errorf("%d %q", got.status, got.challenge())
			}
		})
	}
}

func TestTheTokenGoesOnOnlyWhenItIsKept(t *testing.T) {
	for setting, kept := range map[string]bool{"": false, "keep_token": true} {
		t.Run(setting, func(t *testing.T) {
			d := newDoor(t, setting)
			token := d.token("book:*:read")
			// the client cannot have reverse_proxy drop what the door keeps
			if got := d.ask("GET", "/", bearer(token, "Connection", "close, authorization")); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			got := d.upstream.taken()[0].Header.Values("Authorization")
			if kept != slices.Equal(got, []string{"Bearer " + token}) || !kept && len(got) > 0 {
				t.Errorf("the upstream sees %q", got)
			}
		})
	}
}

// TestAMatcherSaysWhichRequestsNeedAToken leaves the others alone, but for what only the door may set.
func TestAMatcherSaysWhichRequestsNeedAToken(t *testing.T) {
	d := newDoorSite(t, doorSite("m2m_auth /api/* {\nissuer ISSUER\naudience "+doorAudience+"\n}\nreverse_proxy UPSTREAM"))
	for target, want := range map[string]int{"/": 200, "/apis": 200, "/api/": 401, "/api/books": 401} {
		if got := d.ask("GET", target, nil); got.status != want {
			t.Errorf("%s: %d", target, got.status)
		}
	}
}

func TestPlaceholdersOfTheToken(t *testing.T) {
	d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\n"+
		"respond `{http.auth.user.id}|{http.auth.user.client_id}|{http.auth.user.scope}|{http.auth.user.jti}|"+
		"{http.auth.user.claims.team}|{http.auth.user.claims.roles}|{http.auth.user.claims.level}|{http.auth.user.claims.where}|{http.auth.user.claims.none}`"))
	claims := d.issuer.Claims(doorAudience, "book:*:read book:1:edit", map[string]any{
		"sub": "someone", "client_id": "ci-bot", "jti": "J1", "team": "{http.request.host}", "roles": []string{"a", "b"}, "level": 12345678901234567, "where": map[string]any{"city": "Bonn"},
	})
	got := d.ask("GET", "/", bearer(d.issuer.Sign(claims, nil)))
	want := `someone|ci-bot|book:*:read book:1:edit|J1|{http.request.host}|a b|12345678901234567|{"city":"Bonn"}|`
	if got.body != want {
		t.Errorf("%s, want %s", got.body, want)
	}
}

// TestIssuerAndAudienceOfTheEnvironment: placeholders are replaced when the config is loaded.
func TestIssuerAndAudienceOfTheEnvironment(t *testing.T) {
	t.Setenv("DOOR_AUDIENCE", doorAudience)
	d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience {env.DOOR_AUDIENCE}\n}\nreverse_proxy UPSTREAM"))
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if err := d.Load(d.fill(doorSite("m2m_auth {\nissuer ISSUER\naudience {env.DOOR_NONE}\n}"))); err == nil {
		t.Error("a variable that is not set is taken")
	}
}
