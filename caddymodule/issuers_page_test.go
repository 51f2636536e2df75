package caddymodule_test

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
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestBlocksOfTheIssuersPage runs each block of docs/issuers.md with an issuer that looks like the real one.
func TestBlocksOfTheIssuersPage(t *testing.T) {
	blocks := issuerBlocks(t)
	if names := slices.Sorted(maps.Keys(deployedIssuers)); !slices.Equal(names, slices.Sorted(maps.Keys(blocks))) {
		t.Fatalf("the page has %q, and the test %q", slices.Sorted(maps.Keys(blocks)), names)
	}
	d := newDoor(t, "")
	signer, other := newRSA(t), newRSA(t)
	for name, i := range deployedIssuers {
		t.Run(name, func(t *testing.T) {
			f := startDeployed(t, d, i, signer, other)
			if err := d.Load(f.site(t, blocks[name])); err != nil {
				t.Fatal(err)
			}
			path := i.path
			if path == "" {
				path = "/"
			}
			d.upstream.taken()
			for range 2 {
				if got := d.ask("GET", path, bearer(f.sign(signer, change{}))); got.status != http.StatusOK {
					t.Fatalf("%d %s\n%s", got.status, got.body, d.Log())
				}
			}
			if got := d.upstream.taken()[0].Header.Get("X-Client-Id"); got != i.client {
				t.Errorf("the client is %q, want %q", got, i.client)
			}
			if got := d.ask("GET", path, bearer(f.sign(other, change{}))); got.reason() != "bad_signature" {
				t.Errorf("by another key: %d %s", got.status, got.body)
			}
			for what, c := range i.bad {
				if got := d.ask("GET", path, bearer(f.sign(signer, c))); got.reason() != c.reason {
					t.Errorf("%s: %d %s, want %s", what, got.status, got.body, c.reason)
				}
			}
			if strings.Contains(d.Log(), "of-the-pod") {
				t.Error("the log shows the credential")
			}
		})
	}
}

// issuerBlocks returns the blocks with the issuers of the page by the heading above them. The second one has a 2.
func issuerBlocks(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../docs/issuers.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := make(map[string]string)
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		if name == "Another issuer" {
			break
		}
		for _, block := range regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllStringSubmatch(text, -1) {
			if blocks[name] != "" {
				name += " 2"
			}
			blocks[name] = block[1]
		}
	}
	return blocks
}

// fakeIssuer stands in for a deployed issuer.
type fakeIssuer struct {
	deployed
	t      *testing.T
	door   *door
	ca     string
	tokens string
	urls   *strings.Replacer // from the real origins to those of the fake servers
}

var originOfURL = regexp.MustCompile(`https://[A-Za-z0-9.-]+`)

func startDeployed(t *testing.T, d *door, i deployed, signer, other *rsa.PrivateKey) *fakeIssuer {
	f := &fakeIssuer{deployed: i, t: t, door: d}
	keys := strings.NewReplacer("KID", kid, "JWK", rsaMembers(signer), "OTHER", rsaMembers(other)).Replace(i.keys)
	var pairs []string
	for url := range i.documents {
		origin := originOfURL.FindString(url)
		if slices.Contains(pairs, origin) {
			continue
		}
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, ok := i.documents[origin+r.URL.Path]
			switch {
			case i.credential != "" && r.Header.Get("Authorization") != i.credential:
				http.Error(w, `{"kind":"Status","code":401}`, http.StatusUnauthorized)
			case !ok:
				http.Error(w, "<html>not found</html>", http.StatusNotFound)
			case body == "KEYS":
				_, _ = w.Write([]byte(keys))
			default:
				_, _ = w.Write([]byte(f.urls.Replace(body)))
			}
		}))
		t.Cleanup(server.Close)
		pairs = append(pairs, origin, server.URL)
		f.ca = writePEM(t, server)
	}
	f.urls = strings.NewReplacer(pairs...)
	f.tokens = servertest.WriteFile(t, t.TempDir(), "token", strings.TrimPrefix(i.credential, "Bearer ")+"\n")
	return f
}

func writePEM(t *testing.T, server *httptest.Server) string {
	return servertest.WriteFile(t, t.TempDir(), "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}

// site is a site with a block of the page, in which the fake servers and the files of this test are named.
func (f *fakeIssuer) site(t *testing.T, block string) string {
	t.Helper()
	block = f.urls.Replace(block)
	block = strings.NewReplacer("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", f.ca, "/var/run/secrets/kubernetes.io/serviceaccount/token", f.tokens).Replace(block)
	if !strings.Contains(block, "ca "+f.ca) {
		block = regexp.MustCompile(`(?m)^\tissuer (.*) \{$`).ReplaceAllString(block, "\tissuer $1 {\n\t\tca "+f.ca)
	}
	block = strings.Replace(block, "policy /etc/caddy/door", "policy "+f.policy(t)+" {\n\t\ttimeout 20s\n\t}", 1)
	return f.door.fill(doorSite(block + "\nreverse_proxy UPSTREAM"))
}

// policy writes the policy of the page. For XSUAA the scope has another name, in an array.
func (f *fakeIssuer) policy(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/issuers.md")
	if err != nil {
		t.Fatal(err)
	}
	rego := regexp.MustCompile("(?s)```rego\n(.*?)```").FindStringSubmatch(string(page))[1]
	if _, isList := f.claims["scope"].([]string); isList {
		rego = strings.NewReplacer(`split(object.get(input.token.claims, "scope", ""), " ")`, `object.get(input.token.claims, "scope", [])`, "books/read", "bookshop!t123.Read").Replace(rego)
	}
	return filepath.Dir(servertest.WriteFile(t, t.TempDir(), "request.rego", rego))
}

// sign is a token of the issuer, changed.
func (f *fakeIssuer) sign(key *rsa.PrivateKey, c change) string {
	claims := jwt.MapClaims{"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for _, some := range []map[string]any{f.claims, c.claims} {
		maps.Copy(claims, some)
	}
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(claims)
	if err == nil {
		claims = nil
		err = json.Unmarshal([]byte(f.urls.Replace(string(text))), &claims)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	unsigned.Header["kid"] = kid
	for _, some := range []map[string]any{f.header, c.header} {
		maps.Copy(unsigned.Header, some)
	}
	maps.DeleteFunc(unsigned.Header, func(_ string, value any) bool { return value == nil })
	signed, err := unsigned.SignedString(key)
	if err != nil {
		f.t.Fatal(err)
	}
	return signed
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaMembers(key *rsa.PrivateKey) string {
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`"n":%q,"e":%q`, encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes()))
}
