package caddymodule_test

import (
	"fmt"
	"net/http"
	"testing"
)

const issuerAudience = "https://api.example.com"
const filmAudience = "https://films.example.com"

// TestAudienceOfToken asks with and without `resource` (RFC 8707), as a form and as JSON.
func TestAudienceOfToken(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "audience " + issuerAudience})
	for name, c := range map[string]struct {
		client, ask       string
		resources         []string
		audience, granted string
		rejected          string
	}{
		"the issuer's":             {"demo", "book:read", nil, issuerAudience, "book:read", ""},
		"the resource's own":       {"demo", "film:read", nil, filmAudience, "film:read", ""},
		"those of all granted":     {"demo", "film:read book:read", nil, "[" + issuerAudience + " " + filmAudience + "]", "film:read book:read", ""},
		"not those of rejected":    {"demo", "book:read film:burn", nil, issuerAudience, "book:read", "film:burn"},
		"all for every resource":   {"almighty", "*", nil, "[" + issuerAudience + " " + filmAudience + "]", "*", ""},
		"one chosen":               {"demo", "film:read book:read", []string{filmAudience}, filmAudience, "film:read", "book:read"},
		"the other chosen":         {"demo", "film:read book:read", []string{issuerAudience}, issuerAudience, "book:read", "film:read"},
		"both chosen":              {"demo", "film:read book:read", []string{filmAudience, issuerAudience}, "[" + issuerAudience + " " + filmAudience + "]", "film:read book:read", ""},
		"more than needed":         {"demo", "book:read", []string{filmAudience, issuerAudience}, issuerAudience, "book:read", ""},
		"chosen for every":         {"almighty", "* book:read", []string{filmAudience}, filmAudience, "*", "book:read"},
		"chosen twice":             {"almighty", "*", []string{filmAudience, filmAudience}, filmAudience, "*", ""},
		"in another form":          {"demo", "film:read book:read", []string{"HTTPS://Films.EXAMPLE.com:443/"}, filmAudience, "film:read", "book:read"},
		"with the slash of a host": {"demo", "film:read book:read", []string{issuerAudience + "/"}, issuerAudience, "book:read", "film:read"},
		"a wildcard of a resource": {"almighty", "film", nil, filmAudience, "film", ""},
	} {
		var more, audience []string
		for _, resource := range c.resources {
			more, audience = append(more, "resource", resource), append(audience, "audience", resource)
		}
		answers := map[string]func() tokenAnswer{
			"form":     func() tokenAnswer { return w.ask(c.client, c.ask, more...) },
			"audience": func() tokenAnswer { return w.ask(c.client, c.ask, audience...) },
			"JSON":     func() tokenAnswer { return w.postJSON(w.json(c.client, c.ask, c.resources)) },
		}
		for kind, ask := range answers {
			t.Run(name+" as "+kind, func(t *testing.T) {
				w := w.in(t)
				a := ask()
				w.granted(a)
				if *a.Scope != c.granted || *a.RejectedScope != c.rejected {
					t.Errorf("got %s", a)
				}
				if got := fmt.Sprint(w.verified(*a.AccessToken)["aud"]); got != c.audience {
					t.Errorf("aud is %s, want %s", got, c.audience)
				}
			})
		}
	}
}

func (w *issuerWorld) json(client, scopes string, resources []string) string {
	body := fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q,"scope":%q`, client, w.secret, scopes)
	switch len(resources) {
	case 0:
	case 1:
		body += fmt.Sprintf(`,"resource":%q`, resources[0])
	default:
		body += `,"resource":[`
		for i, resource := range resources {
			if i > 0 {
				body += ","
			}
			body += fmt.Sprintf("%q", resource)
		}
		body += "]"
	}
	return body + "}"
}

func TestResourceThatIsNotHere(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "audience " + issuerAudience})
	for name, c := range map[string]struct {
		resources []string
		code      string
	}{
		"unknown":              {[]string{"https://other.example.com"}, "invalid_target"},
		"one of two unknown":   {[]string{issuerAudience, "https://other.example.com"}, "invalid_target"},
		"with a path":          {[]string{issuerAudience + "/x"}, "invalid_target"},
		"with another port":    {[]string{issuerAudience + ":8443"}, "invalid_target"},
		"with a fragment":      {[]string{issuerAudience + "#x"}, "invalid_target"},
		"relative":             {[]string{"/api"}, "invalid_target"},
		"no scope is there":    {[]string{filmAudience}, "invalid_scope"},
		"the issuer's own URL": {[]string{w.url}, "invalid_target"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			var more []string
			for _, resource := range c.resources {
				more = append(more, "resource", resource)
			}
			refusedToken(t, w.ask("demo", "book:read", more...), http.StatusBadRequest, c.code)
		})
	}
	t.Run("resource and audience", func(t *testing.T) {
		a := w.in(t).ask("demo", "book:read", "resource", issuerAudience, "audience", filmAudience)
		refusedToken(t, a, http.StatusBadRequest, "invalid_target")
	})
}
