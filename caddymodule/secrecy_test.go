package caddymodule_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// TestNoSecretIsLogged sends secrets and gets tokens in every way, good and bad, and searches the whole debug log for them.
func TestNoSecretIsLogged(t *testing.T) {
	w := startIssuer(t, issuerSettings{
		global: "debug", site: "log\nrespond /echo 200\nhandle_errors {\nrespond 500\n}",
		policy: map[string]string{"faulty.rego": "package m2m.token\n\nclaims[name] := \"x\" if {\n\tname := concat(\"\", [\"i\", \"ss\"])\n\tinput.client.id == \"almighty\"\n}\n\nclaims[\"team\"] := input.client.attributes.team\n"},
	})
	other := registry.NewSecret() // that of a client of another issuer, say
	hidden := []string{w.secret, other}
	send := func(a tokenAnswer) {
		if a.AccessToken != nil {
			hidden = append(hidden, *a.AccessToken, (*a.AccessToken)[strings.LastIndex(*a.AccessToken, "."):])
		}
	}
	for _, secret := range hidden {
		for _, client := range []string{"demo", "almighty", "former", "nobody", secret} {
			send(w.post(askForBooks, "Authorization", basic(client, secret)))
			send(w.post(askForBooks+"&client_id=other", "Authorization", basic(client, secret)))
			send(w.post(askForBooks, "Authorization", "Basic "+secret))
			send(w.post(askForBooks, "Authorization", "Bearer "+secret))
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {"book:read"}, "client_id": {client}, "client_secret": {secret}}
			send(w.post(form.Encode()))
			send(w.post(form.Encode() + "&client_secret=" + secret))
			send(w.post(form.Encode() + "&%zz"))
			send(w.postJSON(form.Encode()))
			send(w.do(w.request(http.MethodPost, w.tokenURL()+"?"+form.Encode(), nil, "Content-Type", formType)))
			send(w.do(w.request(http.MethodGet, w.tokenURL()+"?"+form.Encode(), nil)))
			send(w.do(w.request(http.MethodGet, w.url+"/oauth2/authorize?"+form.Encode(), nil)))
			send(w.postJSON(w.json(client, "book:read", nil)))
		}
		send(w.postJSON(`{"grant_type":"client_credentials","client_secret":"` + secret))
		send(w.ask("demo", "book:read", "resource", "https://api.example.com/"+secret))
		send(w.post("grant_type=" + secret))
		send(w.ask("demo", "book:"+secret+":read book:read"))
		send(w.ask("demo", "book:read "+secret))
	}
	if len(hidden) < 4 {
		t.Fatal("no tokens were issued")
	}
	for _, secret := range hidden {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte("demo:" + secret)), registry.HashSecret(secret)} {
			for line := range strings.Lines(w.Log()) {
				if strings.Contains(line, form) {
					t.Errorf("logged: %s", line)
				}
			}
		}
	}
	if !strings.Contains(w.Log(), `"http.log.access"`) || !strings.Contains(w.Log(), "m2m_decision") {
		t.Error("there is no access log with the plugin's fields")
	}
}
