package caddymodule_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// withRefused is the catalogue with more clients that are refused.
const withRefused = catalogue + `  over:
    expires: 2020-01-01T00:00:00Z
    secrets: [{id: s1, sha256: HASH}]
  elsewhere:
    networks: [198.51.100.0/24]
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
`

// TestOperatorsFindAFailingClient: at the level of production, the log names the client and the reason, and the metrics count
// the reasons. The caller learns nothing, and an id that no client has is never logged.
func TestOperatorsFindAFailingClient(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{registry: withRefused, site: "log"})
	w.LogLevel = "INFO"
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	wrong := registry.NewSecret()
	fail := func(endpoint, id, secret string) string {
		form := "grant_type=client_credentials&scope=book:read&token=x&client_id=" + id + "&client_secret=" + secret
		a := w.do(w.request(http.MethodPost, w.url+"/oauth2/"+endpoint, strings.NewReader(form), "Content-Type", formType))
		return a.whole()
	}
	same := fail("token", "made-up-client", wrong)
	for _, c := range []struct{ endpoint, id, secret string }{
		{"introspect", "made-up-client-2", w.secret}, {"token", w.secret, wrong},
		{"token", "demo", wrong}, {"token", "demo", wrong}, {"introspect", "careful", w.secret[:len(w.secret)-1]}, {"revoke", "former", w.secret},
		{"token", "almighty", w.secret + "%0A"}, {"token", "outdated", w.secret}, {"token", "over", w.secret},
	} {
		if got := fail(c.endpoint, c.id, c.secret); got != same {
			t.Errorf("%s of %s: %s\nwant %s", c.endpoint, c.id, got, same)
		}
	}
	fail("token", "elsewhere", w.secret)
	fail("token", "", "")

	want := []string{
		"warn almighty malformed_secret 1 /oauth2/token", "warn careful malformed_secret 1 /oauth2/introspect", "warn demo wrong_secret 2 /oauth2/token", "warn elsewhere source_network 1 /oauth2/token",
		"warn former client_disabled 1 /oauth2/revoke", "warn outdated secret_expired 1 /oauth2/token", "warn over client_expired 1 /oauth2/token",
	}
	var got []string
	servertest.Eventually(t, "all are logged", func() bool {
		got = nil
		for _, line := range w.LogLines("m2m") {
			if line["msg"] != "a client is refused" {
				continue
			}
			got = append(got, fmt.Sprint(line["level"], " ", line["client_id"], " ", line["reason"], " ", line["count"], " ", line["path"]))
			if line["issuer"] != w.url || line["remote_ip"] != "127.0.0.1" {
				t.Errorf("logged %v", line)
			}
		}
		return len(got) >= len(want)
	})
	if slices.Sort(got); !slices.Equal(got, want) && !slices.Contains(got, "warn demo wrong_secret 1 /oauth2/token") { // a look between the two
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for reason, count := range map[string]string{
		"unknown_client": "3", "wrong_secret": "2", "malformed_secret": "2", "client_disabled": "1", "secret_expired": "1", "client_expired": "1",
		"source_network": "1", "unusable_credentials": "1",
	} {
		if got := w.metric("clients_refused_total", `reason="`+reason+`"`); got != count {
			t.Errorf("the metric counts %q of %s, want %s", got, reason, count)
		}
	}
	checkAccessLog(t, w.Log())
}

// checkAccessLog finds the reasons in the access log, and no id that no client has.
func checkAccessLog(t *testing.T, log string) {
	t.Helper()
	for _, want := range []string{
		`"m2m_error":"invalid_client","m2m_reason":"wrong_secret","m2m_client_id":"demo"`,
		`"m2m_error":"invalid_client","m2m_reason":"unknown_client","m2m_client_id":""`,
		`"m2m_error":"invalid_client","m2m_reason":"unusable_credentials","m2m_client_id":""`,
		`"m2m_error":"invalid_scope","m2m_reason":"source_network"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the access log does not have %s", want)
		}
	}
	if strings.Contains(log, "made-up-client") || strings.Contains(log, "m2m_0") {
		t.Error("the log has an id that no client has")
	}
}
