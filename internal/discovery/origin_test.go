package discovery

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// originCases are issuers whose metadata names a jwks_uri, and the origins that the operator allows.
var originCases = map[string]struct {
	issuer, jwksURI string
	origins         []string
	problem         string // part of the error; "" if the keys are fetched
}{
	"own origin":         {"https://a.example", "https://a.example/jwks", nil, ""},
	"below the issuer":   {"https://a.example/t", "https://a.example/elsewhere", nil, ""},
	"default port":       {"https://a.example", "https://a.example:443/jwks", nil, ""},
	"issuer's port":      {"https://a.example:443", "https://a.example/jwks", nil, ""},
	"port with a zero":   {"https://a.example", "https://a.example:0443/jwks", nil, ""},
	"empty port":         {"https://a.example", "https://a.example:/jwks", nil, ""},
	"upper case":         {"https://a.example", "HTTPS://A.Example/jwks", nil, ""},
	"issuer upper case":  {"https://A.example", "https://a.example/jwks", nil, ""},
	"IPv6":               {"https://[2001:db8::1]", "https://[2001:DB8:0:0::1]/jwks", nil, ""},
	"loopback":           {"http://127.0.0.1:8080", "http://127.0.0.1:8080/jwks", nil, ""},
	"default http port":  {"http://127.0.0.1", "http://127.0.0.1:80/jwks", nil, ""},
	"IDN, same bytes":    {"https://bücher.example", "https://bücher.example/jwks", nil, ""},
	"named":              {"https://a.example", "https://b.example/jwks", []string{"https://c.example", "https://b.example"}, ""},
	"named, spelt":       {"https://a.example", "https://B.example:443/jwks", []string{"https://b.example"}, ""},
	"named port":         {"https://a.example", "https://10.0.0.1:6443/openid/v1/jwks", []string{"https://10.0.0.1:6443"}, ""},
	"named IPv6":         {"https://a.example", "https://[FD00:0::1]:6443/jwks", []string{"https://[fd00::1]:6443"}, ""},
	"named IDN":          {"https://a.example", "https://xn--bcher-kva.example/jwks", []string{"https://xn--bcher-kva.example"}, ""},
	"named loopback":     {"http://127.0.0.1:8080", "http://127.0.0.1:2019/jwks", []string{"http://127.0.0.1:2019"}, ""},
	"own beside a named": {"https://a.example", "https://a.example/jwks", []string{"https://b.example"}, ""},

	"other host":          {"https://a.example", "https://b.example/jwks", nil, "jwks_uri is on another origin, https://b.example; name it in jwks_origin"},
	"other port":          {"https://a.example", "https://a.example:8443/jwks", nil, "another origin, https://a.example:8443;"},
	"subdomain":           {"https://a.example", "https://x.a.example/jwks", nil, "another origin"},
	"parent":              {"https://x.a.example", "https://a.example/jwks", nil, "another origin"},
	"longer host":         {"https://a.example", "https://a.example.evil.example/jwks", nil, "another origin"},
	"trailing dot":        {"https://a.example", "https://a.example./jwks", nil, "another origin, https://a.example."},
	"other loopback port": {"http://127.0.0.1:8080", "http://127.0.0.1:2019/jwks", nil, "another origin, http://127.0.0.1:2019;"},
	"other loopback name": {"http://127.0.0.1:8080", "http://localhost:8080/jwks", nil, "another origin"},
	"other loopback IP":   {"http://127.0.0.1:8080", "http://[::1]:8080/jwks", nil, "another origin"},
	"mapped loopback":     {"http://127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080/jwks", nil, "another origin"},
	"https of loopback":   {"http://127.0.0.1:8080", "https://127.0.0.1:8080/jwks", nil, "another origin"},
	"link-local":          {"https://a.example", "https://169.254.169.254/jwks", nil, "another origin, https://169.254.169.254;"},
	"decimal IP":          {"https://127.0.0.1", "https://2130706433/jwks", nil, "another origin"},
	"IPv6 zone":           {"https://[fe80::1]", "https://[fe80::1%25eth0]/jwks", nil, "another origin"},
	"IDN, ASCII":          {"https://bücher.example", "https://xn--bcher-kva.example/jwks", nil, "another origin"},
	"Kelvin sign":         {"https://k.example", "https://\u212a.example/jwks", nil, "another origin"},
	"full width":          {"https://a.example", "https://\uff41.example/jwks", nil, "another origin"},
	"another is named":    {"https://a.example", "https://c.example/jwks", []string{"https://b.example"}, "another origin, https://c.example;"},
	"another port named":  {"https://a.example", "https://b.example/jwks", []string{"https://b.example:8443"}, "another origin, https://b.example;"},
	"user information":    {"https://a.example", "https://a.example@b.example/jwks", nil, "without user information"},
	"own user":            {"https://a.example", "https://u:p@a.example/jwks", nil, "without user information"},
	"backslash":           {"https://a.example", `https://a.example\@b.example/jwks`, nil, "jwks_uri must be"},
	"port out of range":   {"https://a.example", "https://a.example:65979/jwks", nil, "jwks_uri must be"},
	"plain, though named": {"https://a.example", "http://127.0.0.1:2019/jwks", []string{"http://127.0.0.1:2019"}, "jwks_uri must be https"},
	"long host":           {"https://a.example", "https://" + strings.Repeat("a", 300) + "/jwks", nil, "jwks_uri must be"},
}

func TestJWKSOrigins(t *testing.T) {
	for name, c := range originCases {
		t.Run(name, func(t *testing.T) {
			asked, _, err := fetchFrom(t, fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, c.issuer, c.jwksURI), c.issuer, c.origins)
			if c.problem == "" {
				if err != nil || !asked {
					t.Errorf("got %v, asked for the keys: %t", err, asked)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.problem) || asked {
				t.Errorf("got %v, asked for the keys: %t; want %q", err, asked, c.problem)
			}
			if err != nil && (strings.Contains(err.Error(), "u:p") || len(err.Error()) > 1000) {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

// fetchFrom gets an issuer's keys from a world in which every URL that is not metadata is a key set.
func fetchFrom(t *testing.T, metadata, issuer string, origins []string) (asked bool, failures []string, err error) {
	transport := roundTripper(func(r *http.Request) string {
		if strings.Contains(r.URL.Path, "/.well-known/") {
			return metadata
		}
		asked = true
		return "a"
	})
	k := NewKeys(t.Context(), Config[[]string]{
		Source: Source{Issuer: issuer, JWKSOrigins: origins}, Client: &http.Client{Transport: transport}, Parse: parseWords,
		Has:     func(words []string, kid string) bool { return slices.Contains(words, kid) },
		OnFetch: func(err error) { failures = append(failures, fmt.Sprint(err)) },
	})
	_, err = k.Get(t.Context(), "a", DefaultStaleFor)
	k.Close()
	return asked, failures, err
}

// TestRevocationsOrigin: the feed of an issuer of this program is where the issuer is. An origin that is named for the
// keys does not move it.
func TestRevocationsOrigin(t *testing.T) {
	for feed, problem := range map[string]string{
		"https://a.example/oauth2/revocations": "",
		"https://A.example:443/revocations":    "",
		"https://b.example/revocations":        "m2m_revocations_uri is on another origin, https://b.example",
		"https://a.example:8443/revocations":   "m2m_revocations_uri is on another origin",
		"http://127.0.0.1:2019/":               "m2m_revocations_uri must be https",
	} {
		metadata := `{"issuer":"https://a.example","jwks_uri":"https://b.example/jwks","m2m_revocations_uri":"` + feed + `"}`
		asked, _, err := fetchFrom(t, metadata, "https://a.example", []string{"https://b.example"})
		if asked != (problem == "") || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: got %v, asked for the keys: %t", feed, err, asked)
		}
	}
}

// TestTokenEndpointOrigin: nothing fetches the token endpoint for a door, so where it is does not matter to the keys.
func TestTokenEndpointOrigin(t *testing.T) {
	metadata := `{"issuer":"https://a.example","jwks_uri":"https://a.example/jwks","token_endpoint":"https://b.example/token"}`
	asked, failures, err := fetchFrom(t, metadata, "https://a.example", nil)
	if err != nil || !asked || !slices.Equal(failures, []string{"<nil>"}) {
		t.Errorf("got %v, reported %v", err, failures)
	}
}

// TestMovedToAnotherOrigin: known keys stay in use, and are fetched from where they were.
func TestMovedToAnotherOrigin(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		var reported []string
		k.cfg.OnMetadata = func(err error) { reported = append(reported, fmt.Sprint(err)) }
		want(t, h, k, "a", "a", 1)
		h.serve(openIDURL, strings.Replace(goodServer, jwksURL, "https://other.example.com/jwks", 1))
		h.serve("https://other.example.com/jwks", "stolen")
		time.Sleep(rediscoverAfter + 1)
		h.kids = "a b"
		want(t, h, k, "b", "a b", 2)
		if h.requests["https://other.example.com/jwks"] != 0 {
			t.Error("keys were fetched from another origin")
		}
		if len(reported) != 2 || reported[0] != "<nil>" || !strings.Contains(reported[1], "jwks_uri is on another origin") {
			t.Errorf("reported %q", reported)
		}
	})
}

func TestCheckOrigin(t *testing.T) {
	const https, loopback = "https://a.example", "http://127.0.0.1:8080"
	for _, c := range []struct{ origin, issuer, problem string }{
		{"https://www.googleapis.com", https, ""},
		{"https://10.0.0.1:6443", https, ""},
		{"https://[fd00::1]:6443", https, ""},
		{"https://xn--bcher-kva.example", https, ""},
		{"https://jwks", https, ""},
		{"https://b_c.example", https, ""},
		{"http://127.0.0.1:9000", loopback, ""},
		{"http://localhost:9000", loopback, ""},
		{"http://keys.localhost:9000", loopback, ""},
		{"http://[::1]:9000", loopback, ""},
		{"https://b.example", loopback, ""},

		{"", https, "absolute URL"},
		{"b.example", https, "absolute URL"},
		{"//b.example", https, "https"},
		{"ftp://b.example", https, "https"},
		{"http://127.0.0.1:9000", https, "https"},
		{"http://b.example", loopback, "https"},
		{"https://b.example/", https, "normal form, https://b.example"},
		{"https://b.example/jwks", https, "normal form, https://b.example"},
		{"https://b.example?", https, "normal form, https://b.example"},
		{"https://b.example?x=y", https, "normal form, https://b.example"},
		{"https://b.example#x", https, "fragment"},
		{"https://b.example#", https, "normal form, https://b.example"},
		{"https://b.example:443", https, "normal form, https://b.example"},
		{"https://b.example:", https, "normal form, https://b.example"},
		{"https://b.example:08443", https, "normal form, https://b.example:8443"},
		{"https://b.example:0", https, "port"},
		{"https://b.example:65536", https, "port"},
		{"HTTPS://b.example", https, "normal form, https://b.example"},
		{"https://B.example", https, "normal form, https://b.example"},
		{"https://b.example.", https, "host"},
		{"https://.", https, "host"},
		{"https://b..example", https, "host"},
		{"https://bücher.example", https, "host"},
		{"https://*.example", https, "host"},
		{"https://b%2eexample", https, "absolute URL"},
		{"https://2130706433", https, "host"},
		{"https://0x7f.1", https, "host"},
		{"https://0x7f000001", https, "host"},
		{"https://127.0.0.01", https, "host"},
		{"https://10.0.0", https, "host"},
		{"https://[FD00::1]", https, "normal form, https://[fd00::1]"},
		{"https://[fd00:0::1]", https, "normal form, https://[fd00::1]"},
		{"https://[fe80::1%25eth0]", https, "host"},
		{"https://fd00::1", https, "absolute URL"},
		{"https://u:secret@b.example", https, "user information"},
		{"http://127.0.0.1:80", loopback, "normal form, http://127.0.0.1"},
		{"https://b.example c", https, "absolute URL"},
	} {
		err := CheckOrigin(c.origin, c.issuer)
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%q: got %v, want %q", c.origin, err, c.problem)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", c.origin, err)
		}
	}
}

// TestRedirectsByOrigin: the default port is not another origin, and one that may be named is, once a fetch has begun.
func TestRedirectsByOrigin(t *testing.T) {
	for to, problem := range map[string]string{
		"https://auth.example.com:443/moved":   "",
		"https://AUTH.example.com/moved":       "",
		"https://auth.example.com:8443/moved":  "another origin",
		"https://auth.example.com./moved":      "another origin",
		"https://www.auth.example.com/moved":   "another origin",
		"http://auth.example.com:443/moved":    "another origin",
		"https://auth.example.com:99999/moved": "another origin",
	} {
		n := newNetwork()
		n.answers[serverURL] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
		n.serve(to, goodServer)
		_, err := Fetch(t.Context(), n.client(), issuer)
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	for _, c := range originCases {
		f.Add(c.jwksURI)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if CheckOrigin(text, "https://a.example") != nil {
			return
		}
		if err := CheckEndpointOrigin(text+"/jwks", "https://a.example", []string{text}); err != nil {
			t.Errorf("%q is taken for an origin and allows nothing: %v", text, err)
		}
	})
}
