package interop_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// secretless is the page whose recipes these tests run.
const secretless = "../../docs/no-secrets.md"

// jwtBearer is the type of an assertion that is any JWT.
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// recipe is a recipe of the page that runs, with other host names, ports and folders.
type recipe struct {
	*servertest.Server
	t       *testing.T
	heading string
	dir     string            // stands for /etc/caddy
	sites   map[string]string // from the names on the page to those of the test
}

// newRecipe returns a recipe with the sites of the issuer and of the API, and with an upstream. More replacements are in pairs.
func newRecipe(t *testing.T, heading string, replacements ...string) *recipe {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s for %s", r.Method, r.URL.Path, r.Header.Get("X-Client-Id"))
	}))
	t.Cleanup(upstream.Close)
	r := &recipe{t: t, heading: heading, dir: t.TempDir(), sites: map[string]string{
		"https://auth.example.com": servertest.FreeURL(t), "https://api.example.com": servertest.FreeURL(t),
		"books:8080": strings.TrimPrefix(upstream.URL, "http://"),
	}}
	r.sites["\nauth.example.com {"] = "\n" + r.sites["https://auth.example.com"] + " {"
	r.sites["\napi.example.com {"] = "\n" + r.sites["https://api.example.com"] + " {"
	r.sites["/etc/caddy"] = r.dir
	for n := 0; n < len(replacements); n += 2 {
		r.sites[replacements[n]] = replacements[n+1]
	}
	return r
}

func (r *recipe) issuer() string { return r.sites["https://auth.example.com"] }

// block returns a block of the recipe, with the sites and folders of the test.
func (r *recipe) block(language string, nth int) string {
	r.t.Helper()
	text := servertest.Block(r.t, secretless, r.heading, language, nth)
	for from, to := range r.sites {
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}

// run runs the recipe's Caddyfile with its registry.
func (r *recipe) run() {
	r.t.Helper()
	servertest.WriteFile(r.t, r.dir, "registry.yaml", r.block("yaml", 1))
	r.Server = servertest.Start(r.t, r.block("caddyfile", 1))
}

// shell runs a script as a CI runner does, with variables of the environment, and returns what it prints.
func (r *recipe) shell(script string, environment ...string) string {
	r.t.Helper()
	command := exec.CommandContext(r.t.Context(), "bash", "-e", "-o", "pipefail", "-c", script)
	command.Dir = r.t.TempDir()
	command.Env = append(os.Environ(), environment...)
	output, err := command.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %s\n%s\n%s", err, script, output, r.Log())
	}
	return string(output)
}

// call calls the API with the token of an answer of the token endpoint.
func (r *recipe) call(answer string) string {
	r.t.Helper()
	var token struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer), &token); err != nil {
		r.t.Fatalf("%v: %s", err, answer)
	}
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.sites["https://api.example.com"]+"/books/2024-1", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	return servertest.Body(r.t, response)
}

// exchange asks for a token with an assertion, as another program would.
func (r *recipe) exchange(assertionType, assertion string) (status int, body string) {
	r.t.Helper()
	response, err := http.PostForm(r.issuer()+"/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "scope": {"book:*:read"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, servertest.Body(r.t, response)
}

// platform is the issuer of a platform, such as GitHub, with one RSA key.
type platform struct {
	*httptest.Server
	t   *testing.T
	key *rsa.PrivateKey
	ca  string // path of its certificate, as PEM
}

// startPlatform serves documents over TLS by their paths. In them, KEYS stands for the key set and URL for the platform's URL. If
// credential is not "", only requests with this Authorization are answered.
func startPlatform(t *testing.T, credential string, documents map[string]string) *platform {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, key: key}
	encode := base64.RawURLEncoding.EncodeToString
	keys := fmt.Sprintf(`{"keys":[{"use":"sig","kty":"RSA","kid":"platform-1","alg":"RS256","n":%q,"e":%q}]}`, encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes()))
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		document, ok := documents[r.URL.Path]
		switch {
		case credential != "" && r.Header.Get("Authorization") != credential:
			http.Error(w, `{"kind":"Status","code":401}`, http.StatusUnauthorized)
		case !ok:
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, strings.NewReplacer("KEYS", keys, "URL", p.URL).Replace(document))
		}
	}))
	t.Cleanup(p.Close)
	p.ca = servertest.WriteFile(t, t.TempDir(), "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})))
	return p
}

// sign signs claims, changed. A nil value removes a claim or a parameter of the header.
func (p *platform) sign(header, claims map[string]any, changes map[string]any) string {
	p.t.Helper()
	now := time.Now().Unix()
	all := jwt.MapClaims{"iat": now, "nbf": now, "exp": now + 600}
	maps.Copy(all, claims)
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	unsigned := jwt.NewWithClaims(jwt.SigningMethodRS256, all)
	unsigned.Header["kid"] = "platform-1"
	maps.Copy(unsigned.Header, header)
	maps.DeleteFunc(unsigned.Header, func(_ string, value any) bool { return value == nil })
	signed, err := unsigned.SignedString(p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return signed
}
