package remote

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// origin is a server of metadata and keys that lists the Authorization of its requests.
type origin struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func startOrigin(t *testing.T, tls bool, answer func(path string) string) *origin {
	t.Helper()
	o := new(origin)
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.seen = append(o.seen, r.Header.Get("Authorization"))
		o.mu.Unlock()
		_, _ = w.Write([]byte(answer(r.URL.Path)))
	}))
	if tls {
		o.StartTLS()
	} else {
		o.Start()
	}
	t.Cleanup(o.Close)
	return o
}

func (o *origin) taken() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := strings.Join(o.seen, "|")
	o.seen = nil
	return seen
}

// ca writes the certificate of a server to a file.
func ca(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keysBy gets the keys of an issuer once.
func keysBy(t *testing.T, s Settings) (*token.KeySet, error) {
	t.Helper()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	issuer := New(s, nil, zap.NewNop)
	defer func() { _ = issuer.Destruct() }()
	return issuer.KeySet(t.Context(), "")
}

func testJWKS(t *testing.T) string {
	t.Helper()
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return string(token.NewKeySet(key).JWKS())
}

// TestPrivateCA: requests trust the files alone, and a file that has changed.
func TestPrivateCA(t *testing.T) {
	jwks := testJWKS(t)
	server := startOrigin(t, true, func(string) string { return jwks })
	s := Settings{Source: discovery.Source{Issuer: "a", JWKSURI: server.URL + "/jwks"}}
	if _, err := keysBy(t, s); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the file: %v", err)
	}
	s.CA = []string{ca(t, server.Server)}
	if keys, err := keysBy(t, s); err != nil || keys.Len() != 1 || s.CheckCA() != nil {
		t.Errorf("%v, %v", keys, err)
	}
	client := newClient(s, nil)
	fetch := func() error {
		response, err := client.Get(server.URL)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := fetch(); err != nil {
		t.Error(err)
	}
	other := []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	if err := os.WriteFile(s.CA[0], other, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fetch(); err == nil || s.CheckCA() == nil {
		t.Errorf("with another file: %v", err)
	}
	if err := os.Remove(s.CA[0]); err != nil {
		t.Fatal(err)
	}
	if err := fetch(); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without it: %v", err)
	}
}

// TestRequestHeader: the header goes to the origins that the operator names, with the value of the moment. It goes neither to
// the origin of the issuer's name, if its metadata is elsewhere, nor along a redirect.
func TestRequestHeader(t *testing.T) {
	jwks := testJWKS(t)
	keys := startOrigin(t, false, func(string) string { return jwks })
	metadata := startOrigin(t, false, func(string) string {
		return `{"issuer":"` + keys.URL + `","jwks_uri":"` + keys.URL + `/jwks"}`
	})
	value := "first"
	s := Settings{
		Source:  discovery.Source{Issuer: keys.URL, MetadataURL: metadata.URL + "/meta"},
		Header:  map[string]string{"Authorization": "Bearer {file./token}"},
		Resolve: func(text string) (string, error) { return strings.Replace(text, "{file./token}", value, 1), nil },
	}
	for range 2 {
		if _, err := keysBy(t, s); err != nil {
			t.Fatal(err)
		}
		if got := metadata.taken(); got != "Bearer "+value {
			t.Errorf("metadata got %q", got)
		}
		if got := keys.taken(); got != "" {
			t.Errorf("the keys' origin got %q, which the config does not name", got)
		}
		value = "second"
	}
	s.JWKSOrigins = []string{keys.URL}
	if _, err := keysBy(t, s); err != nil || keys.taken() != "Bearer second" {
		t.Errorf("a named origin did not get it: %v", err)
	}
	s.Source = discovery.Source{Issuer: "a", JWKSURI: keys.URL + "/jwks"}
	if _, err := keysBy(t, s); err != nil || keys.taken() != "Bearer second" {
		t.Errorf("jwks_uri did not get it: %v", err)
	}
	s.JWKSURI = strings.Replace(keys.URL, "127.0.0.1", "keys.localhost", 1) + "/jwks"
	if _, err := keysBy(t, s); err != nil || keys.taken() != "Bearer second" {
		t.Errorf("a name below localhost did not get it: %v", err)
	}
	for problem, resolve := range map[string]func(string) (string, error){
		"request_header Authorization: no such file":              func(string) (string, error) { return "", errors.New("no such file") },
		"request_header Authorization: the value is empty":        func(string) (string, error) { return " \n", nil },
		"request_header Authorization: the value is empty or can": func(string) (string, error) { return "hunter2\nX: y", nil },
	} {
		s.Resolve = resolve
		if _, err := keysBy(t, s); err == nil || !strings.Contains(err.Error(), problem) || strings.Contains(err.Error(), "hunter2") || keys.taken() != "" {
			t.Errorf("got %v, want %q", err, problem)
		}
	}
}

// TestHTTPNetworks: what a name resolves to counts, not the name.
func TestHTTPNetworks(t *testing.T) {
	jwks := testJWKS(t)
	server := startOrigin(t, false, func(string) string { return jwks })
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for networks, problem := range map[string]string{
		"127.0.0.0/8 ::1": "", "127.0.0.1": "", "10.0.0.0/8": "127.0.0.1 is not on one", "fd00::/8 192.168.1.7": "127.0.0.1 is not on one",
	} {
		allowed, err := ParseNetworks(strings.Fields(networks))
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"127.0.0.1", "localhost"} {
			s := Settings{Source: discovery.Source{Issuer: "a", JWKSURI: "http://" + host + port + "/jwks"}, HTTPNetworks: allowed}
			_, err := keysBy(t, s)
			if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) && host == "127.0.0.1" {
				t.Errorf("%s at %s: %v", networks, host, err)
			}
		}
	}
	for text, problem := range map[string]string{
		"": "neither", "keycloak": "neither", "10.0.0.0/33": "neither", "0.0.0.0/0": "every network", "::/0": "every network",
		"10.1.2.3/8": "the network is 10.0.0.0/8", "fe80::1%eth0": "neither",
		"::ffff:10.0.0.1": "as IPv4", "::ffff:a00:0/104": "as IPv4",
	} {
		if _, err := ParseNetworks([]string{text}); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v, want %q", text, err, problem)
		}
	}
}

func TestSettingsKey(t *testing.T) {
	a, b := ByDiscovery("https://a.example", []string{"https://c.example", "https://b.example"}), ByDiscovery("https://a.example", []string{"https://b.example", "https://c.example"})
	if a.Key() != b.Key() {
		t.Error("the order of origins makes a difference")
	}
	for name, change := range map[string]func(*Settings){
		"discovery": func(s *Settings) { s.MetadataURL = "https://a.example/m" },
		"jwks_uri":  func(s *Settings) { s.JWKSURI = "https://a.example/m" },
		"ca":        func(s *Settings) { s.CA = []string{"a"} },
		"header":    func(s *Settings) { s.Header = map[string]string{"A": "b"} },
		"networks":  func(s *Settings) { s.HTTPNetworks, _ = ParseNetworks([]string{"10.0.0.1"}) },
	} {
		changed := b
		if change(&changed); changed.Key() == a.Key() {
			t.Errorf("%s makes no difference", name)
		}
	}
	b.Header = map[string]string{"X-Token": "a", "x-token": "b"}
	if err := b.Check(); err == nil || !strings.Contains(err.Error(), "two spellings") {
		t.Errorf("a header in two spellings: %v", err)
	}
	for name, wanted := range map[string]bool{"Authorization": true, "x-token": true, "host": false, "Accept": false, "a b": false, "": false} {
		if err := CheckHeader(name); (err == nil) != wanted {
			t.Errorf("%q: %v", name, err)
		}
	}
}
