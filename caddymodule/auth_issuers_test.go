package caddymodule_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// twoIssuerDoor is a door of two remote issuers: ISSUER, and OTHER with these options.
type twoIssuerDoor struct {
	*door
	other *servertest.Issuer
}

func newTwoIssuerDoor(t *testing.T, options, subdirectives string) *twoIssuerDoor {
	t.Helper()
	other := servertest.StartIssuer(t)
	respond := "respond `{http.auth.user.issuer}|{http.auth.user.client_id}|{http.auth.user.scope}|{http.request.header.X-Client-Id}|{http.request.header.X-Client-Scope}`"
	d := newDoorSite(t, strings.ReplaceAll(doorSite("route {\nmetrics /metrics\nm2m_auth {\nissuer ISSUER\nissuer OTHER {\n"+options+"\n}\naudience "+doorAudience+"\n"+subdirectives+"\n}\n"+respond+"\n}"), "OTHER", other.URL))
	return &twoIssuerDoor{d, other}
}

// sign is a token of an issuer for the door.
func sign(i *servertest.Issuer, changes, header map[string]any) string {
	return i.Sign(i.Claims(doorAudience, "book:read", changes), header)
}

func (d *twoIssuerDoor) expect(what, token string, status int, reason string) answer {
	d.t.Helper()
	got := d.ask("GET", "/", bearer(token))
	if got.status != status || reason != "" && got.reason() != reason {
		d.t.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, status, reason)
	}
	return got
}

func TestTwoIssuersAtOneDoor(t *testing.T) {
	d := newTwoIssuerDoor(t, "", "")
	for _, i := range []*servertest.Issuer{d.issuer, d.other} {
		for range 2 { // verified, and remembered
			if got, want := d.expect("a good token", sign(i, nil, nil), 200, "").body, i.URL+"|demo|book:read|demo|book:read"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
	_, ours := d.issuer.Key()
	_, theirs := d.other.Key()
	as := func(i *servertest.Issuer) map[string]any { return map[string]any{"iss": i.URL} }
	d.expect("ours by their key", sign(d.other, as(d.issuer), nil), 401, "unknown_key")
	d.expect("ours by their key under our kid", sign(d.other, as(d.issuer), map[string]any{"kid": ours}), 401, "bad_signature")
	d.expect("ours under their kid", sign(d.issuer, nil, map[string]any{"kid": theirs}), 401, "unknown_key")
	d.expect("theirs by our key", sign(d.issuer, as(d.other), nil), 401, "unknown_key")
	d.expect("theirs by our key under their kid", sign(d.issuer, as(d.other), map[string]any{"kid": theirs}), 401, "bad_signature")

	fetches := d.issuer.Fetches() + d.other.Fetches()
	for n, issuer := range []string{"https://evil.example.com", d.issuer.URL + "/", strings.ToUpper(d.other.URL), " " + d.other.URL} {
		d.expect(issuer, sign(d.issuer, map[string]any{"iss": issuer}, map[string]any{"kid": fmt.Sprint("k", n)}), 401, "wrong_issuer")
	}
	d.expect("no iss", sign(d.issuer, map[string]any{"iss": nil}, nil), 401, "bad_claims")
	d.expect("a list as iss", sign(d.issuer, map[string]any{"iss": []string{d.issuer.URL}}, nil), 401, "bad_claims")
	if n := d.issuer.Fetches() + d.other.Fetches() - fetches; n != 0 {
		t.Errorf("tokens of no issuer here made %d requests", n)
	}

	got := d.ask("GET", "/.well-known/oauth-protected-resource", nil)
	if want := fmt.Sprintf(`"authorization_servers":[%q,%q]`, d.issuer.URL, d.other.URL); !strings.Contains(got.body, want) {
		t.Errorf("metadata %s, want %s", got.body, want)
	}
	metrics := d.ask("GET", "/metrics", nil).body
	for _, want := range []string{
		fmt.Sprintf(`auth_requests_total{issuer=%q,result="allowed"} 2`, d.issuer.URL),
		fmt.Sprintf(`auth_requests_total{issuer=%q,result="allowed"} 2`, d.other.URL),
		fmt.Sprintf(`auth_requests_total{issuer=%q,result="unknown_key"} 2`, d.issuer.URL),
		fmt.Sprintf(`auth_requests_total{issuer=%q,result="bad_signature"} 1`, d.other.URL),
		`auth_requests_total{issuer="",result="wrong_issuer"} 4`,
		`auth_requests_total{issuer="",result="bad_claims"} 2`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, "evil.example.com") {
		t.Error("a stranger's iss is a label")
	}
}

// TestTwoIssuersWithTheSameKeyID: a kid names a key of one issuer only.
func TestTwoIssuersWithTheSameKeyID(t *testing.T) {
	d := newTwoIssuerDoor(t, "", "")
	_, ours := d.issuer.Key()
	_, theirs := d.other.Key()
	d.other.Publish(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.ReplaceAll(string(d.other.JWKS()), theirs, ours))
	})
	same := map[string]any{"kid": ours}
	d.expect("ours", sign(d.issuer, nil, nil), 200, "")
	d.expect("theirs", sign(d.other, nil, same), 200, "")
	d.expect("ours by their key", sign(d.other, map[string]any{"iss": d.issuer.URL}, same), 401, "bad_signature")
	d.expect("theirs by our key", sign(d.issuer, map[string]any{"iss": d.other.URL}, same), 401, "bad_signature")
}

// TestOneOfTwoIssuersIsDown: tokens of the other issuer are still accepted.
func TestOneOfTwoIssuersIsDown(t *testing.T) {
	d := newTwoIssuerDoor(t, "", "")
	d.other.SetDown(true)
	d.expect("of the one that is up", sign(d.issuer, nil, nil), 200, "")
	d.expect("of the one that is down", sign(d.other, nil, nil), 503, "no_keys")
	d.expect("ours again", sign(d.issuer, nil, nil), 200, "")
}

// TestQuirksOfAnIssuer: the options of an issuer apply only to its own tokens.
func TestQuirksOfAnIssuer(t *testing.T) {
	const audience = "https://other-api.example.com"
	d := newTwoIssuerDoor(t, "audience "+audience+"\ntyp JWT at+jwt\nscope_claim scp\nclient_claim azp\nallow_missing jti iat sub typ", "")
	quirky := map[string]any{"aud": audience, "jti": nil, "iat": nil, "sub": nil, "scp": []string{"film:read", "film:edit"}, "azp": "their-bot"}
	jwt := map[string]any{"typ": "JWT"}

	got := d.expect("all quirks", sign(d.other, quirky, jwt), 200, "")
	if want := d.other.URL + "|their-bot|film:read film:edit|their-bot|film:read film:edit"; got.body != want {
		t.Errorf("%s, want %s", got.body, want)
	}
	d.expect("without a typ", sign(d.other, quirky, map[string]any{"typ": nil}), 200, "")
	d.expect("without azp", sign(d.other, map[string]any{"aud": audience}, jwt), 401, "bad_claims")
	d.expect("for the door's audience", sign(d.other, map[string]any{"azp": "their-bot"}, jwt), 401, "wrong_audience")
	got = d.expect("scope is not scp", sign(d.other, map[string]any{"aud": audience, "azp": "their-bot"}, nil), 200, "")
	if want := d.other.URL + "|their-bot||their-bot|"; got.body != want {
		t.Errorf("%s, want %s", got.body, want)
	}

	d.expect("ours with typ JWT", sign(d.issuer, nil, jwt), 401, "wrong_type")
	d.expect("ours without a typ", sign(d.issuer, nil, map[string]any{"typ": nil}), 401, "wrong_type")
	d.expect("ours for their audience", sign(d.issuer, map[string]any{"aud": audience}, nil), 401, "wrong_audience")
	d.expect("ours without jti", sign(d.issuer, map[string]any{"jti": nil}, nil), 401, "bad_claims")
	got = d.expect("ours with scp and azp", sign(d.issuer, map[string]any{"scp": "film:read", "azp": "x"}, nil), 200, "")
	if want := d.issuer.URL + "|demo|book:read|demo|book:read"; got.body != want {
		t.Errorf("%s, want %s", got.body, want)
	}
}

// TestHeaderParametersThatAreIgnored: only by option, only of the issuer that has it, and nothing follows them.
func TestHeaderParametersThatAreIgnored(t *testing.T) {
	d := newTwoIssuerDoor(t, "ignore_parameter jku x5c\nalg ES256", "")
	elsewhere := servertest.StartIssuer(t)
	jku := map[string]any{"jku": elsewhere.URL + "/jwks"}
	d.expect("of the issuer with the option", sign(d.other, nil, jku), 200, "")
	d.expect("a chain of certificates", sign(d.other, nil, map[string]any{"x5c": []string{strings.Repeat("MIIB", 500)}}), 200, "")
	d.expect("another parameter", sign(d.other, nil, map[string]any{"x5u": elsewhere.URL}), 401, "unsupported")
	d.expect("of the other issuer", sign(d.issuer, nil, jku), 401, "unsupported")
	d.expect("a large header of the other issuer", sign(d.issuer, nil, map[string]any{"x": strings.Repeat("x", 2000)}), 401, "malformed")
	_, kid := elsewhere.Key()
	forged := map[string]any{"iss": d.other.URL}
	d.expect("by the key at the jku", sign(elsewhere, forged, jku), 401, "unknown_key")
	d.expect("by the key at the jku, without a kid", sign(elsewhere, forged, map[string]any{"kid": nil, "jku": jku["jku"]}), 401, "bad_signature")
	if n := elsewhere.Fetches(); n != 0 || kid == "" {
		t.Errorf("the jku was followed %d times", n)
	}
}

// TestScopesOfAQuirkOpenRoutes: scopes in an array count like those in a string.
func TestScopesOfAQuirkOpenRoutes(t *testing.T) {
	d := newTwoIssuerDoor(t, "scope_claim scp", "require GET / film:read")
	d.expect("with the scope in scp", sign(d.other, map[string]any{"scp": []string{"film:*:read"}}, nil), 200, "")
	d.expect("with it in scope", sign(d.other, map[string]any{"scope": "film:read"}, nil), 403, "insufficient_scope")
	d.expect("ours with it in scp", sign(d.issuer, map[string]any{"scp": "film:read"}, nil), 403, "insufficient_scope")
	d.expect("two in one string", sign(d.other, map[string]any{"scp": []string{"a:read film:read"}}, nil), 401, "bad_claims")
	if metrics := d.ask("GET", "/metrics", nil).body; !strings.Contains(metrics, fmt.Sprintf(`auth_requests_total{issuer=%q,result="insufficient_scope"} 1`, d.other.URL)) {
		t.Error("the refusal is not counted for its issuer")
	}
}

// TestThePolicySeesWhoseATokenIs: one policy decides on the tokens of all issuers of its door.
func TestThePolicySeesWhoseATokenIs(t *testing.T) {
	path := servertest.WriteFile(t, t.TempDir(), "door.rego", `package m2m.request

denied contains {"reason": "not from here"} if not startswith(input.issuer, input.token.claims.home)
`)
	d := newTwoIssuerDoor(t, "", "policy "+path+" {\ntimeout 20s\n}")
	d.expect("at home", sign(d.other, map[string]any{"home": d.other.URL}, nil), 200, "")
	d.expect("ours at home", sign(d.issuer, map[string]any{"home": d.issuer.URL}, nil), 200, "")
	d.expect("a stranger", sign(d.other, map[string]any{"home": d.issuer.URL}, nil), 403, "denied_by_policy")
	var logged []string
	for _, line := range d.LogLines("m2m.decisions") {
		labels, _ := json.Marshal(line["labels"])
		logged = append(logged, string(labels))
	}
	if want := fmt.Sprintf(`{"issuer":%q} {"issuer":%q} {"issuer":%q}`, d.other.URL, d.issuer.URL, d.other.URL); strings.Join(logged, " ") != want {
		t.Errorf("logged %s, want %s", logged, want)
	}
}

// TestALocalAndARemoteIssuerAtOneDoor: each has its own audience, and the metadata names both.
func TestALocalAndARemoteIssuerAtOneDoor(t *testing.T) {
	const remoteAudience = "https://other-api.example.com"
	remote := servertest.StartIssuer(t)
	url := servertest.FreeURL(t)
	w := startIssuer(t, issuerSettings{url: url, options: "audience " + issuerAudience,
		site: "m2m_auth {\nissuer " + url + "\nissuer " + remote.URL + " {\naudience " + remoteAudience + "\n}\n}\nrespond `{http.auth.user.issuer}`"})
	local := w.ask("demo", "book:read")
	w.granted(local)
	for token, want := range map[string]string{
		*local.AccessToken: "200 " + url,
		remote.Sign(remote.Claims(remoteAudience, "", nil), nil):                           "200 " + remote.URL,
		remote.Sign(remote.Claims(issuerAudience, "", nil), nil):                           "401 wrong_audience",
		remote.Sign(remote.Claims(issuerAudience, "", map[string]any{"iss": url}), nil):    "401 unknown_key",
		remote.Sign(remote.Claims(remoteAudience, "", map[string]any{"iss": "http"}), nil): "401 wrong_issuer",
	} {
		got := w.get(w.url+"/", "Authorization", "Bearer "+token)
		if a := (answer{body: got.body}); fmt.Sprint(got.status, " ", cmp.Or(a.reason(), got.body)) != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	metadata := w.get(w.url + "/.well-known/oauth-protected-resource").body
	if !strings.Contains(metadata, fmt.Sprintf(`"authorization_servers":[%q,%q]`, url, remote.URL)) || !strings.Contains(metadata, `"book:*:read"`) {
		t.Errorf("metadata %s", metadata)
	}
}
