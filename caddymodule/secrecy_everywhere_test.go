package caddymodule_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// plantsPolicy copies the words of callers into reasons, claims and headers.
const plantsPolicy = `package m2m.request

denied contains {"reason": sprintf("not %v %v", [input.request.path, input.request.headers])} if input.request.headers["x-deny"]

headers["X-Copy"] := input.request.headers["x-tenant"][0]
`

const plantsTokenPolicy = `package m2m.token

rejected contains {"scope": s.raw, "reason": sprintf("not %s for %v", [s.raw, input.client.attributes])} if {
	some s in input.scopes
	s.action == "edit"
}
`

// plantsWorld has an issuer with a registry in storage, a door for its tokens, and doors for those of issuers elsewhere,
// one with an upstream that is down and one without an access log. All of them log at debug level.
type plantsWorld struct {
	*adminWorld
	secret, token                string
	door, remoteDoor, brokenDoor string
	silentDoor                   string
	elsewhere                    *servertest.Issuer
	mu                           sync.Mutex
	errorBodies                  []string // of answers that are errors, with their headers
	plant                        string
}

func startPlants(t *testing.T, broken string) *plantsWorld {
	t.Helper()
	w := &plantsWorld{
		adminWorld: &adminWorld{Server: servertest.New(t), t: t, issuer: servertest.FreeURL(t)}, elsewhere: servertest.StartIssuer(t),
		door: servertest.FreeURL(t), remoteDoor: servertest.FreeURL(t), brokenDoor: servertest.FreeURL(t), silentDoor: servertest.FreeURL(t),
	}
	w.Admin = strings.TrimPrefix(servertest.FreeURL(t), "http://")
	w.admin = "http://" + w.Admin
	request := servertest.WriteFile(t, t.TempDir(), "request.rego", plantsPolicy)
	policy := "policy " + request + " {\ntimeout 20s\ninput_header X-Tenant X-Deny\nupstream_header X-Copy\n}\n"
	config := w.config("policy "+servertest.WriteFile(t, t.TempDir(), "token.rego", plantsTokenPolicy)+" {\ntimeout 20s\n}", "audience "+doorAudience)
	config = strings.Replace(config, "{\n", "{\ndebug\n", 1)
	config = strings.Replace(config, "m2m_issuer "+w.issuer, "log\nm2m_issuer\nmetrics /metrics", 1)
	remote := func(issuer string) string {
		return "m2m_auth {\nissuer " + issuer + " {\nclient_claim azp\n}\naudience " + doorAudience + "\n"
	}
	down := strings.TrimPrefix(servertest.FreeURL(t), "http://")
	for _, site := range []string{
		w.door + " {\nlog\nhandle_errors {\nrespond {http.error.status_code}\n}\nm2m_auth {\nissuer " + w.issuer + "\nrequire GET /books/{id} book:{id}:read\nrequire PUT /books/{id} book:{id}:edit\nrequire /open/{id...} book:*:read\n" + policy + "}\nrespond ok\n}\n",
		w.remoteDoor + " {\nlog\n" + remote(w.elsewhere.URL) + policy + "}\nreverse_proxy " + down + "\n}\n",
		w.brokenDoor + " {\nlog\n" + remote(broken) + "}\nrespond ok\n}\n",
		w.silentDoor + " {\n" + remote(w.elsewhere.URL) + "}\nreverse_proxy " + down + "\n}\n",
	} {
		config += site
	}
	config = strings.ReplaceAll(config, "http://127.0.0.1:", "http://:") // any host
	config = strings.NewReplacer("issuer http://:", "issuer http://127.0.0.1:").Replace(config)
	if err := w.Load(config); err != nil {
		t.Fatalf("starting Caddy: %v", err)
	}
	w.secret = w.book()
	w.token = w.newToken()
	return w
}

func (w *plantsWorld) newToken() string {
	w.t.Helper()
	answer := w.send(http.MethodPost, w.issuer+"/oauth2/token", "grant_type=client_credentials&scope=book:read", "Content-Type", formType, "Authorization", basic("ci-bot", w.secret))
	var members tokenMembers
	if err := json.Unmarshal([]byte(answer), &members); err != nil || members.AccessToken == nil {
		w.t.Fatalf("no token: %s", answer)
	}
	return *members.AccessToken
}

// send sends a request, keeps the answer if it is an error, and returns its body.
func (w *plantsWorld) send(method, address, body string, header ...string) string {
	w.t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for n := 0; n < len(header); n += 2 {
		if header[n] == "Host" {
			request.Host = header[n+1]
		} else {
			request.Header.Add(header[n], header[n+1])
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, address, err)
		return ""
	}
	text := servertest.Body(w.t, response)
	if response.StatusCode >= 400 {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.errorBodies = append(w.errorBodies, fmt.Sprint(method, " ", request.URL.Host, ": ", response.Status, " ", response.Header, " ", text))
	}
	return text
}

// spellings are ways to write a text in a URI.
func spellings(text string) []string {
	var all strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&all, "%%%02x", c)
	}
	return []string{url.QueryEscape(text), "%" + fmt.Sprintf("%02x", text[0]) + text[1:], all.String(), strings.ReplaceAll(all.String(), "%", "%25")}
}

// everywhere in a request that is not its subject: parameters of the query under any name, path, headers, host.
func (w *plantsWorld) everywhere(method, address, body string, header ...string) {
	w.t.Helper()
	for _, spelt := range spellings(w.plant) {
		for _, query := range []string{
			"client_secret=", "x=", "x=1&Access_Token=", "client%5fsecret=", "token=", "since=", "%zz&a;password=", "", "next=https%3A%2F%2Fx%2F%3Fa%3D",
		} {
			w.send(method, address+"?"+query+spelt, body, header...)
		}
		w.send(method, address+"/"+spelt+"/x", body, header...)
	}
	for _, name := range []string{
		"Referer", "User-Agent", "X-Request-Id", "Traceparent", "Tracestate", "Baggage", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Api-Key", "DPoP",
		"X-Tenant", "Cookie", "Proxy-Authorization", "X-Client-Id", "X-Client-Secret", "Accept", "If-None-Match", "Origin", "Range", "Te", "Expect-Ct", "Via", "Content-Language",
	} {
		for _, value := range []string{w.plant, "Bearer " + w.plant, "https://example.com/a?access_token=" + w.plant + "&b", "a=b; c=" + spellings(w.plant)[2]} {
			w.send(method, address, body, append(slices.Clone(header), name, value)...)
		}
	}
	if len(w.plant) < 200 { // a host that Caddy takes
		w.send(method, address, body, append(slices.Clone(header), "Host", w.plant+".example.com")...)
	}
}

func (w *plantsWorld) atTheTokenEndpoint() {
	good := url.Values{"grant_type": {"client_credentials"}, "scope": {"book:read"}, "client_id": {"ci-bot"}, "client_secret": {w.secret}, "resource": {doorAudience}}
	address := w.issuer + "/oauth2/token"
	var wrongSecrets sync.WaitGroup // whose answers are delayed
	defer wrongSecrets.Wait()
	for _, name := range []string{
		"grant_type", "scope", "client_id", "client_secret", "resource", "audience", "client_assertion", "client_assertion_type", "assertion",
		"subject_token", "username", "password", "code", "refresh_token", "x", w.plant,
	} {
		for _, value := range []string{w.plant, spellings(w.plant)[2], "book:" + w.plant + ":read", "book:a:" + w.plant, "book:a:edit book:read:x" + w.plant, "https://example.com/" + w.plant, "book:" + spellings(w.plant)[2] + ":edit"} {
			form := url.Values{}
			members := map[string]string{}
			for key, values := range good {
				form[key], members[key] = values, values[0]
			}
			form.Set(name, value)
			members[name] = value
			encoded := form.Encode()
			text, _ := json.Marshal(members)
			both := func() {
				w.send(http.MethodPost, address, encoded, "Content-Type", formType)
				w.send(http.MethodPost, address, string(text), "Content-Type", "application/json")
			}
			if name == "client_secret" {
				wrongSecrets.Go(both)
			} else {
				both()
			}
			form.Add(name, value)
			w.send(http.MethodPost, address, form.Encode(), "Content-Type", formType)
			if name != "client_secret" && name != "client_id" {
				form.Del("client_secret")
				form.Del("client_id")
				w.send(http.MethodPost, address, form.Encode(), "Content-Type", formType, "Authorization", basic("ci-bot", w.secret))
			}
		}
	}
	for _, authorization := range []string{basic(w.plant, w.secret), basic("ci-bot", w.plant), basic(w.plant, w.plant), "Basic " + w.plant, "Bearer " + w.plant, w.plant, "x " + w.plant} {
		wrongSecrets.Go(func() {
			w.send(http.MethodPost, address, "grant_type=client_credentials&scope=book:read", "Content-Type", formType, "Authorization", authorization)
		})
	}
	w.send(http.MethodPost, address, `{"grant_type": "`+w.plant, "Content-Type", "application/json")
	w.send(http.MethodPost, address, w.plant, "Content-Type", "text/"+w.plant)
	w.everywhere(http.MethodPost, address, good.Encode(), "Content-Type", formType)
}

func (w *plantsWorld) atOtherRoutes() {
	for _, path := range []string{"/oauth2/introspect", "/oauth2/revoke"} {
		for _, hint := range []string{"access_token", w.plant} {
			form := url.Values{"token": {w.plant + "x"}, "token_type_hint": {hint}, w.plant: {"1"}}
			w.send(http.MethodPost, w.issuer+path, form.Encode(), "Content-Type", formType, "Authorization", basic("ci-bot", w.secret))
			w.send(http.MethodPost, w.issuer+path, form.Encode(), "Content-Type", formType, "Authorization", basic(w.plant, w.plant))
		}
		w.send(http.MethodPost, w.issuer+path+"?token="+w.plant, "", "Content-Type", formType)
	}
	for _, path := range []string{
		"/oauth2/jwks", "/oauth2/revocations", "/oauth2/authorize", "/oauth2/near", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/",
	} {
		w.everywhere(http.MethodGet, w.issuer+path, "")
	}
}

func (w *plantsWorld) atTheDoors() {
	good := []string{"Authorization", "Bearer " + w.newToken()}
	remote := func(changes map[string]any, header map[string]any) []string {
		claims := map[string]any{"azp": "machine"}
		for name, value := range changes {
			claims[name] = value
		}
		return []string{"Authorization", "Bearer " + w.elsewhere.Sign(w.elsewhere.Claims(doorAudience, "book:read", claims), header)}
	}
	w.everywhere(http.MethodGet, w.door+"/books/1", "", good...)
	w.everywhere(http.MethodGet, w.door+"/open", "", good...)
	w.everywhere(http.MethodGet, w.door+"/books/1", "")
	w.everywhere(http.MethodGet, w.remoteDoor+"/books/1", "", remote(nil, nil)...)
	for _, spelt := range append(spellings(w.plant), w.plant) {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			w.send(method, w.door+"/books/"+spelt, "", good...)
			w.send(method, w.door+"/books/a:"+spelt+"?x="+spelt, "", append(good, "X-Deny", w.plant)...)
			w.send(method, w.door+"/books/"+spelt, "", append(good, "Trailer", "X-Tenant")...)
		}
		w.send(http.MethodGet, w.door+"//"+spelt, "", good...)
		w.send(http.MethodGet, w.silentDoor+"/a?client_secret="+spelt, "", remote(nil, nil)...)
	}
	for _, authorization := range []string{"Bearer " + w.plant, "Bearer  " + w.plant + " x", "Basic " + w.plant, w.plant} {
		for _, door := range []string{w.door, w.remoteDoor, w.brokenDoor, w.silentDoor} {
			w.send(http.MethodGet, door+"/books/1", "", "Authorization", authorization)
		}
	}
	for _, claim := range []string{"sub", "client_id", "azp", "jti", "scope", "iss", "aud", "x", w.plant} {
		for _, value := range []any{w.plant, "a/" + w.plant, []string{w.plant}, map[string]any{w.plant: w.plant}} {
			w.send(http.MethodGet, w.remoteDoor+"/books/1", "", remote(map[string]any{claim: value}, nil)...)
			w.send(http.MethodGet, w.remoteDoor+"/books/1", "", append(remote(map[string]any{claim: value}, nil), "X-Deny", "x")...)
		}
	}
	w.send(http.MethodGet, w.remoteDoor+"/books/1", "", remote(nil, map[string]any{"kid": w.plant})...)
	w.send(http.MethodGet, w.remoteDoor+"/books/1", "", remote(nil, map[string]any{"typ": w.plant})...)
	broken := map[string]any{"iss": "broken", "kid": w.plant}
	w.send(http.MethodGet, w.brokenDoor+"/books/1", "", remote(broken, nil)...)
}

func (w *plantsWorld) atTheAdminAPI() {
	text, _ := json.Marshal(w.plant)
	plant := string(text)
	for _, path := range []string{"/m2m/clients/" + w.plant, "/m2m/resources/" + w.plant, "/m2m/" + w.plant, "/m2m/status?issuer=" + w.plant, "/m2m/clients?after=" + w.plant, "/m2m/clients?" + w.plant + "=1"} {
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost, http.MethodPatch} {
			w.send(method, w.admin+path, `{"description": `+plant+`}`, "Content-Type", "application/json")
		}
	}
	for _, request := range []string{
		`POST /m2m/clients {"id": ` + plant + `}`,
		`POST /m2m/clients {"id": "other", "description": ` + plant + `}`,
		`POST /m2m/clients {"id": "third", "attributes": {"a": [` + plant + `], ` + plant + `: 1}}`,
		`POST /m2m/clients {"id": "fourth", ` + plant + `: 1}`,
		`POST /m2m/clients {"id": "fifth", "token_ttl": ` + plant + `}`,
		`POST /m2m/clients {"id": "sixth", "audiences": [` + plant + `], "networks": [` + plant + `], "introspects": [` + plant + `]}`,
		`PATCH /m2m/clients/ci-bot {"attributes": {"a": ` + plant + `}}`,
		`POST /m2m/clients/ci-bot/grants {"resource": "book", "identifiers": [` + plant + `], "actions": ["read"]}`,
		`POST /m2m/clients/ci-bot/grants {"resource": ` + plant + `, "identifiers": ["*"], "actions": [` + plant + `]}`,
		`POST /m2m/clients/ci-bot/secrets {"id": ` + plant + `}`,
		`POST /m2m/resources {"code": ` + plant + `, "actions": {"read": ""}}`,
		`POST /m2m/resources {"code": "plant", "description": ` + plant + `, "actions": {"read": ` + plant + `, ` + plant + `: ""}, "audience": ` + plant + `}`,
		`POST /m2m/revocations {"jti": ` + plant + `}`,
		`POST /m2m/revocations {"jti": "x` + w.plant + `"}`,
		`POST /m2m/revocations {"client_id": ` + plant + `}`,
		`POST /m2m/keys/rotate {"reason": ` + plant + `}`,
		`POST /m2m/apply {"clients": {"applied": {"description": ` + plant + `}}}`,
		`POST /m2m/apply {` + plant + `: 1}`,
		`POST /m2m/explain {"client": ` + plant + `, "scopes": ["book:read"]}`,
		`POST /m2m/explain {"client": "ci-bot", "scopes": [` + plant + `, "book:` + w.plant + `:read", "book:` + w.plant + `:edit"], "audience": [` + plant + `], "auth_method": ` + plant + `, "remote_ip": ` + plant + `}`,
		`POST /m2m/explain {"client": "ci-bot", "scopes": ["book:` + w.plant + `:read"], "trace": true, "request": {"method": "GET", "url": "/books/` + w.plant + `?a=` + w.plant + `", "headers": {"X-Tenant": ` + plant + `, "X-Deny": ` + plant + `}}}`,
		`POST /m2m/explain {"client": "ci-bot", "request": {"method": ` + plant + `, "url": ` + plant + `, "headers": {` + plant + `: ` + plant + `}, "remote_ip": ` + plant + `}}`,
	} {
		parts := strings.SplitN(request, " ", 3)
		w.send(parts[0], w.admin+parts[1], parts[2], "Content-Type", "application/json")
	}
}

// caddysOwn are loggers by which Caddy logs requests at debug level or before the plugin sees them: the admin endpoint
// what is asked of it, and the proxy what it sends.
var caddysOwn = []string{`"logger":"admin.api"`, `"logger":"http.handlers.reverse_proxy"`}

// TestCredentialsReachNoLog sends a real token, a real secret and a made-up token in every place that a caller controls, and
// searches all logs, errors, metrics and the config for them.
func TestCredentialsReachNoLog(t *testing.T) {
	var plants []string
	planted := ""
	broken := httptest.NewServer(nil)
	defer broken.Close()
	broken.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": broken.URL, "jwks_uri": broken.URL + "/keys?access_token=" + planted, planted: planted})
			return
		}
		w.Header().Set("X-Error", planted)
		http.Error(w, planted, http.StatusBadGateway)
	})
	planted = madeUp(1)
	w := startPlants(t, broken.URL)
	stolen := w.token
	for n, plant := range []string{stolen, registry.NewSecret(), madeUp(2)} {
		w.plant, planted = plant, plant
		plants = append(plants, plant)
		w.elsewhere.Publish(publishedWith(w.elsewhere, plant, n))
		w.atTheTokenEndpoint()
		w.atOtherRoutes()
		w.atTheDoors()
		w.atTheAdminAPI()
	}
	plants = append(plants, w.secret, madeUp(1))
	shown := map[string]string{"/metrics": w.send(http.MethodGet, w.issuer+"/metrics", ""), "/config/": w.send(http.MethodGet, w.admin+"/config/", ""), "errors": strings.Join(w.errorBodies, "\n")}
	log := w.Log()
	shown["log"] = log
	for where, text := range shown {
		for line := range strings.Lines(text) {
			if !slices.ContainsFunc(caddysOwn, func(own string) bool { return strings.Contains(line, own) }) {
				shows(t, where, line, plants)
			}
		}
	}
	for _, logger := range []string{`"http.log.access`, `"http.log.error`, `"m2m.decisions"`, `"m2m.audit"`, `"events"`, `"http.handlers.m2m_auth"`, `"m2m"`} {
		if !strings.Contains(log, `"logger":`+logger) {
			t.Errorf("nothing is logged by %s", logger)
		}
	}
	if strings.Count(log, `"msg":"handled request"`) < 1000 || strings.Count(log, `"masked":[`) < 1000 {
		t.Error("requests with credentials are left out of the access log")
	}
}

// madeUp looks like a token.
func madeUp(n int) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{"alg":"ES256","kid":"made-up"}`) + "." + part(`{"sub":"made-up"}`) + "." + part(fmt.Sprintf("signature made up %d", n))
}

// publishedWith is a key set with further keys that hold the plant in their names.
func publishedWith(issuer *servertest.Issuer, plant string, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var set map[string][]any
		_ = json.Unmarshal(issuer.JWKS(), &set)
		set["keys"] = append(set["keys"], map[string]any{"kid": plant, "kty": plant, "n": n}, map[string]any{"kid": "x", "kty": "EC", "crv": plant, "d": plant})
		_ = json.NewEncoder(w).Encode(set)
	}
}

// shows fails the test if a line shows a plant, in whatever case or encoding.
func shows(t *testing.T, where, line string, plants []string) {
	t.Helper()
	plain := line
	for range 3 {
		if decoded, err := url.PathUnescape(strings.NewReplacer("%zz", "").Replace(plain)); err == nil {
			plain = decoded
		}
	}
	for _, plant := range plants {
		tail := plant[len(plant)-16:]
		if strings.Contains(strings.ToLower(plain), strings.ToLower(tail)) {
			t.Errorf("%s shows %q: %.2000s", where, tail, line)
			return
		}
	}
}
