package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// settingsRegistry has clients that differ in one setting each; GRANTED stands for the rest.
const settingsRegistry = `resources:
  book: {actions: {read: "", edit: ""}}
  film: {audience: "https://films.example.com", actions: {read: ""}}
  song: {audience: "https://songs.example.com", actions: {read: ""}}
clients:
  local: {networks: ["192.0.2.9", 127.0.0.0/8], GRANTED}
  remote: {networks: [192.0.2.0/24, "2001:db8::/32"], GRANTED}
  all4: {networks: [0.0.0.0/0], GRANTED}
  all6: {networks: ["::/0"], GRANTED}
  films: {audiences: ["https://FILMS.example.com:443/"], GRANTED}
  two: {audiences: ["https://songs.example.com", "https://films.example.com", "https://gone.example.com"], GRANTED}
  issuers: {audiences: ["https://api.example.com"], GRANTED}
  nowhere: {audiences: ["https://gone.example.com"], GRANTED}
`

// startSettings is an issuer with the clients of settingsRegistry, who may all do everything.
func startSettings(t testing.TB, s issuerSettings) *issuerWorld {
	t.Helper()
	s.registry = strings.ReplaceAll(settingsRegistry, "GRANTED",
		`secrets: [{id: s1, sha256: HASH}], grants: [{resource: "*", identifiers: ["*"], actions: ["*"]}]`)
	s.options += "\naudience " + issuerAudience
	return startIssuer(t, s)
}

type networkCase struct {
	client, forwarded string // X-Forwarded-For
	granted           bool
}

func (w *issuerWorld) checkNetwork(c networkCase) {
	w.t.Helper()
	var header []string
	if c.forwarded != "" {
		header = []string{"X-Forwarded-For", c.forwarded}
	}
	a := w.post(w.form(c.client, "film:1:read"), header...)
	if c.granted {
		w.granted(a)
		return
	}
	refusedToken(w.t, a, http.StatusBadRequest, "invalid_scope")
	if got := fmt.Sprint(w.rejected(a.DecisionID)); got != "[map[reason:source network scope:film:1:read]]" {
		w.t.Errorf("rejected is %s", got)
	}
}

func TestSourceNetworks(t *testing.T) {
	w := startSettings(t, issuerSettings{})
	for name, c := range map[string]networkCase{
		"the connection's address":               {"local", "", true},
		"another network":                        {"remote", "", false},
		"a stranger's X-Forwarded-For":           {"remote", "192.0.2.7", false},
		"X-Forwarded-For of no proxy is nothing": {"local", "192.0.2.7", true},
	} {
		t.Run(name, func(t *testing.T) { w.in(t).checkNetwork(c) })
	}
}

const behindProxy = "servers {\ntrusted_proxies static 127.0.0.0/8\ntrusted_proxies_strict\n}"

func TestSourceNetworksBehindProxy(t *testing.T) {
	w := startSettings(t, issuerSettings{global: behindProxy})
	for name, c := range map[string]networkCase{
		"the proxy itself":                     {"local", "", true},
		"through the proxy":                    {"remote", "192.0.2.7", true},
		"through the proxy, IPv6":              {"remote", "2001:db8::7", true},
		"through the proxy, IPv4 within IPv6":  {"remote", "::ffff:192.0.2.7", true},
		"through the proxy, one address":       {"local", "192.0.2.9", true},
		"through the proxy, from elsewhere":    {"remote", "198.51.100.7", false},
		"the proxy's own address is not asked": {"local", "198.51.100.7", false},
		"an address that the caller made up":   {"remote", "192.0.2.7, 198.51.100.7", false},
		"through two proxies":                  {"remote", "192.0.2.7, 127.0.0.2", true},
		"all of IPv4":                          {"all4", "198.51.100.7", true},
		"all of IPv4, within IPv6":             {"all4", "::ffff:198.51.100.7", true},
		"all of IPv4 is not IPv6":              {"all4", "2001:db8::7", false},
		"all of IPv6":                          {"all6", "2001:db8::7", true},
		"all of IPv6 is not IPv4":              {"all6", "198.51.100.7", false},
		"all of IPv6 is not IPv4 within IPv6":  {"all6", "::ffff:198.51.100.7", false},
		"no networks":                          {"films", "198.51.100.7", true},
	} {
		t.Run(name, func(t *testing.T) { w.in(t).checkNetwork(c) })
	}
}

// TestAddressesAreLoggedInOneSpelling: the log has the address that policies compare with networks.
func TestAddressesAreLoggedInOneSpelling(t *testing.T) {
	w := startSettings(t, issuerSettings{global: behindProxy})
	for forwarded, want := range map[string]string{
		"::ffff:192.0.2.7": "192.0.2.7", "2001:DB8:0:0::7": "2001:db8::7", "fe80::1%eth0": "fe80::1",
	} {
		w.granted(w.post(w.form("films", "film"), "X-Forwarded-For", forwarded))
		if got := w.decision("")["requested_by"]; got != want {
			t.Errorf("%s is logged as %s, want %s", forwarded, got, want)
		}
	}
}

const songAudience = "https://songs.example.com"

func TestClientAudiences(t *testing.T) {
	w := startSettings(t, issuerSettings{})
	for name, c := range map[string]struct {
		client, ask       string
		resources         []string
		audience, granted string
		rejected          string
	}{
		"all":                             {"local", "book film song", nil, "[" + issuerAudience + " " + filmAudience + " " + songAudience + "]", "book film song", ""},
		"the only one":                    {"films", "film:read", nil, filmAudience, "film:read", ""},
		"others are rejected":             {"films", "book:read film:read song:read", nil, filmAudience, "film:read", "book:read song:read"},
		"two of three":                    {"two", "song book film", nil, "[" + filmAudience + " " + songAudience + "]", "song film", "book"},
		"the issuer's":                    {"issuers", "film book", nil, issuerAudience, "book", "film"},
		"every resource":                  {"films", "*", nil, filmAudience, "*", ""},
		"every resource, of two":          {"two", "*", nil, "[" + filmAudience + " " + songAudience + "]", "*", ""},
		"every resource, and others":      {"two", "book *:*:read song", nil, "[" + filmAudience + " " + songAudience + "]", "*:*:read song", "book"},
		"one chosen":                      {"two", "song film", []string{songAudience}, songAudience, "song", "film"},
		"both chosen":                     {"two", "song film book", []string{songAudience, filmAudience}, "[" + filmAudience + " " + songAudience + "]", "song film", "book"},
		"one chosen for every resource":   {"two", "* film", []string{songAudience}, songAudience, "*", "film"},
		"the only one chosen":             {"films", "film *", []string{filmAudience}, filmAudience, "film *", ""},
		"unknown resources are policy's":  {"films", "magazine film", nil, filmAudience, "film", "magazine"},
		"unknown ones of no audience too": {"two", "magazine film", []string{filmAudience}, filmAudience, "film", "magazine"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			a := w.postJSON(w.json(c.client, c.ask, c.resources))
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

func TestClientAudiencesRefused(t *testing.T) {
	w := startSettings(t, issuerSettings{})
	for name, c := range map[string]struct {
		client, ask  string
		resources    []string
		code, reason string
	}{
		"another audience":               {"films", "book", nil, "invalid_scope", "other_audience"},
		"the issuer's":                   {"two", "book", nil, "invalid_scope", "other_audience"},
		"every resource, none left":      {"nowhere", "*", nil, "invalid_scope", "other_audience"},
		"one, none left":                 {"nowhere", "film", nil, "invalid_scope", "other_audience"},
		"an unknown resource":            {"nowhere", "magazine", nil, "invalid_scope", "unknown resource"},
		"chosen, not the client's":       {"films", "song", []string{songAudience}, "invalid_target", ""},
		"one of two not the client's":    {"films", "film", []string{filmAudience, songAudience}, "invalid_target", ""},
		"for every, not the client's":    {"films", "*", []string{songAudience}, "invalid_target", ""},
		"the client's, not the issuer's": {"two", "*", []string{"https://gone.example.com"}, "invalid_target", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			a := w.postJSON(strings.Replace(w.json(c.client, c.ask, c.resources), `"resource"`, `"audience"`, 1))
			refusedToken(t, a, http.StatusBadRequest, c.code) // another name of the parameter is not a way around the limit
			a = w.postJSON(w.json(c.client, c.ask, c.resources))
			refusedToken(t, a, http.StatusBadRequest, c.code)
			if c.reason == "" {
				return
			}
			want := fmt.Sprintf("[map[reason:%s scope:%s]]", c.reason, c.ask)
			if got := fmt.Sprint(w.rejected(a.DecisionID)); got != want {
				t.Errorf("rejected is %s, want %s", got, want)
			}
		})
	}
}

// TestPolicyCannotWidenTheAudience: the policy grants everything, also scopes that the registry does not have. Such a scope
// would bring the issuer's audience into the token.
func TestPolicyCannotWidenTheAudience(t *testing.T) {
	const generous = "package m2m.token\n\ngranted contains s.raw if some s in input.scopes\n"
	w := startSettings(t, issuerSettings{policy: map[string]string{"all.rego": generous}, policyOptions: "timeout 20s\ndefaults off"})
	a := w.ask("films", "book film magazine *")
	w.granted(a)
	if got := fmt.Sprint(w.verified(*a.AccessToken)["aud"]); got != filmAudience || *a.Scope != "film *" {
		t.Errorf("aud is %s: %s", got, a)
	}
	const rejected = "[map[reason:other_audience scope:book] map[reason:other_audience scope:magazine]]"
	if got := fmt.Sprint(w.rejected("")); got != rejected {
		t.Errorf("rejected is %s", got)
	}
	for _, ask := range []string{"magazine", "book", "*", "magazine *"} {
		refusedToken(t, w.ask("nowhere", ask), http.StatusBadRequest, "invalid_scope")
	}
	a = w.ask("local", "magazine film", "resource", filmAudience)
	w.granted(a)
	if got := fmt.Sprint(w.verified(*a.AccessToken)["aud"]); got != filmAudience || *a.Scope != "film" {
		t.Errorf("with a resource aud is %s: %s", got, a)
	}
}

func TestPoliciesSeeTheClientsSettings(t *testing.T) {
	const claims = "package m2m.token\n\nclaims[\"settings\"] := [input.client.audiences, input.client.networks]\n"
	w := startSettings(t, issuerSettings{policy: map[string]string{"claims.rego": claims}})
	for client, want := range map[string]string{
		"local": "[[] [192.0.2.9/32 127.0.0.0/8]]", "films": "[[https://FILMS.example.com:443/] []]",
	} {
		a := w.ask(client, "film")
		w.granted(a)
		if got := fmt.Sprint(w.verified(*a.AccessToken)["settings"]); got != want {
			t.Errorf("%s: %s, want %s", client, got, want)
		}
	}
}

// TestSettingsTakeEffectWithoutReload: the next request finds them.
func TestSettingsTakeEffectWithoutReload(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startIssuer(t, issuerSettings{})
	for setting, code := range map[string]string{
		"expires: 2020-01-01T00:00:00Z":            "invalid_client",
		`networks: ["192.0.2.0/24"]`:               "invalid_scope",
		`audiences: ["https://films.example.com"]`: "invalid_scope",
	} {
		w.writeRegistry(strings.Replace(catalogue, "  careful:\n", "  careful:\n    "+setting+"\n", 1))
		servertest.Eventually(t, setting+" is in force", func() bool { return w.ask("careful", "book:1:read").Error == code })
		w.writeRegistry(catalogue)
		servertest.Eventually(t, setting+" is gone", func() bool { return w.ask("careful", "book:1:read").status == http.StatusOK })
	}
}
