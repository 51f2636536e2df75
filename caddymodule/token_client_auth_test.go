package caddymodule_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

const askForBooks = "grant_type=client_credentials&scope=book:read"

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func TestClientAuthenticationMethods(t *testing.T) {
	const odd = "ci/bot@example.com?a=b&c"
	w := startIssuer(t, issuerSettings{registry: strings.ReplaceAll(catalogue, "careful:", `"`+odd+`":`)})
	for name, ask := range map[string]func() tokenAnswer{
		"basic": func() tokenAnswer { return w.post(askForBooks, "Authorization", basic("demo", w.secret)) },
		"basic, same id too": func() tokenAnswer {
			return w.post(askForBooks+"&client_id=demo", "Authorization", basic("demo", w.secret))
		},
		"basic, lower case": func() tokenAnswer {
			return w.post(askForBooks, "Authorization", strings.Replace(basic("demo", w.secret), "Basic", "basic", 1))
		},
		"basic, form-encoded": func() tokenAnswer {
			return w.post("grant_type=client_credentials&scope=book:1:read", "Authorization", basic(url.QueryEscape(odd), w.secret))
		},
		"post":          func() tokenAnswer { return w.post(askForBooks + "&client_id=demo&client_secret=" + w.secret) },
		"post, as JSON": func() tokenAnswer { return w.postJSON(w.json("demo", "book:read", nil)) },
	} {
		t.Run(name, func(t *testing.T) { w.granted(ask()) })
	}
	for name, style := range map[string]oauth2.AuthStyle{"header": oauth2.AuthStyleInHeader, "params": oauth2.AuthStyleInParams, "either": oauth2.AuthStyleAutoDetect} {
		t.Run("x/oauth2, "+name, func(t *testing.T) {
			w := w.in(t)
			config := clientcredentials.Config{ClientID: odd, ClientSecret: w.secret, TokenURL: w.tokenURL(), Scopes: []string{"book:1:read"}, AuthStyle: style}
			if _, err := config.Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMalformedClientAuthentication(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	good, secret := basic("demo", w.secret), "&client_id=demo&client_secret="+w.secret
	for name, c := range map[string]struct {
		form          string
		authorization []string
		status        int
		code          string
	}{
		"none":                       {"", nil, 401, "invalid_client"},
		"an id alone":                {"&client_id=demo", nil, 401, "invalid_client"},
		"a secret alone":             {"&client_secret=" + w.secret, nil, 401, "invalid_client"},
		"both methods":               {secret, []string{good}, 400, "invalid_request"},
		"basic twice":                {"", []string{good, good}, 400, "invalid_request"},
		"basic and another id":       {"&client_id=careful", []string{good}, 400, "invalid_request"},
		"an assertion":               {"&client_assertion_type=x&client_assertion=y", nil, 401, "invalid_client"},
		"an assertion and a secret":  {secret + "&client_assertion=y", nil, 400, "invalid_request"},
		"bearer":                     {"", []string{"Bearer " + w.secret}, 401, "invalid_client"},
		"no base64":                  {"", []string{"Basic !!!"}, 401, "invalid_client"},
		"base64url":                  {"", []string{"Basic " + base64.RawURLEncoding.EncodeToString([]byte("demo?>:"+w.secret+"1"))}, 401, "invalid_client"},
		"no colon":                   {"", []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("demo"))}, 401, "invalid_client"},
		"no secret":                  {"", []string{basic("demo", "")}, 401, "invalid_client"},
		"no id":                      {"", []string{basic("", w.secret)}, 401, "invalid_client"},
		"bad percent-encoding":       {"", []string{basic("demo%zz", w.secret)}, 401, "invalid_client"},
		"empty header":               {"", []string{""}, 401, "invalid_client"},
		"scheme alone":               {"", []string{"Basic"}, 401, "invalid_client"},
		"endless":                    {"", []string{basic("demo", strings.Repeat("x", 10000))}, 401, "invalid_client"},
		"control characters in both": {"", []string{basic("de\x00mo", w.secret+"\r\n")}, 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			var header []string
			for _, value := range c.authorization {
				header = append(header, "Authorization", value)
			}
			a := w.post(askForBooks+c.form, header...)
			refusedToken(t, a, c.status, c.code)
			if challenge := a.header.Get("WWW-Authenticate"); (c.status == 401) != strings.HasPrefix(challenge, "Basic ") {
				t.Errorf("status %d with the challenge %q", c.status, challenge)
			}
		})
	}
}

// whole is a response as one text, without the time at which it was sent.
func (a tokenAnswer) whole() string {
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if name != "Date" {
			fmt.Fprintln(&b, name, a.header[name])
		}
	}
	return b.String() + a.body
}

// TestFailedAuthenticationTellsNothing compares whole responses: they do not tell which clients exist, or which secret was
// once valid.
func TestFailedAuthenticationTellsNothing(t *testing.T) {
	const lapsed = `  lapsed: {expires: 2020-01-01T00:00:00Z, secrets: [{id: s1, sha256: HASH}], grants: [{resource: book, identifiers: ["*"], actions: [read]}]}` + "\n"
	w := startIssuer(t, issuerSettings{registry: catalogue + lapsed})
	wrong := registry.NewSecret()
	cases := map[string][2]string{
		"unknown client":             {"nobody", w.secret},
		"wrong secret":               {"demo", wrong},
		"misspelt secret":            {"demo", w.secret[:len(w.secret)-1]},
		"disabled":                   {"former", w.secret},
		"disabled with wrong secret": {"former", wrong},
		"expired":                    {"outdated", w.secret},
		"client expired":             {"lapsed", w.secret},
		"client expired, wrong one":  {"lapsed", wrong},
		"id in another case":         {"Demo", w.secret},
		"not printable":              {"démo", w.secret},
		"very long id":               {strings.Repeat("d", 300), w.secret},
		"hash as the secret":         {"demo", registry.HashSecret(w.secret)},
	}
	forms := map[string]func(id, secret string) tokenAnswer{
		"basic": func(id, secret string) tokenAnswer {
			return w.post(askForBooks, "Authorization", basic(url.QueryEscape(id), url.QueryEscape(secret)))
		},
		"form": func(id, secret string) tokenAnswer {
			return w.post(askForBooks + "&client_id=" + url.QueryEscape(id) + "&client_secret=" + url.QueryEscape(secret))
		},
		"JSON": func(id, secret string) tokenAnswer {
			return w.postJSON(fmt.Sprintf(`{"grant_type":"client_credentials","scope":"book:read","client_id":%q,"client_secret":%q}`, id, secret))
		},
	}
	want := forms["form"]("nobody", wrong)
	refusedToken(t, want, http.StatusUnauthorized, "invalid_client")
	for name, c := range cases {
		for kind, ask := range forms {
			t.Run(name+" by "+kind, func(t *testing.T) {
				if got := ask(c[0], c[1]); got.whole() != want.whole() {
					t.Errorf("the answer differs:\n%s\nfrom\n%s", got.whole(), want.whole())
				}
			})
		}
	}
}
