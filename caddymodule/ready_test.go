package caddymodule_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const readyBody = `{"ready":true}`

func TestReadyOfAnIssuer(t *testing.T) {
	w := startIssuer(t, issuerSettings{site: "m2m_ready /ready"})
	got := w.get(w.url + "/ready")
	if got.status != http.StatusOK || got.body != readyBody || got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v", got, got.header)
	}
	if got := w.do(w.request(http.MethodHead, w.url+"/ready", nil)); got.status != http.StatusOK || got.body != "" {
		t.Errorf("HEAD: %s", got)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "BREW"} {
		got := w.do(w.request(method, w.url+"/ready", nil))
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, HEAD" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v", method, got, got.header)
		}
	}
}

// TestReadyWithTheLastGoodOne: a node is ready as long as the last good version is in force.
func TestReadyWithTheLastGoodOne(t *testing.T) {
	w := startIssuer(t, issuerSettings{site: "m2m_ready /ready", policy: map[string]string{"a.rego": "package m2m.token\n"}})
	w.writeRegistry("clients: [")
	w.writePolicy("a.rego", "package m2m.token\ngranted contains")
	w.awaitHealth("registry", "0")
	w.awaitHealth("policy", "0")
	if got := w.get(w.url + "/ready"); got.status != http.StatusOK || got.body != readyBody {
		t.Errorf("%s", got)
	}
	w.FailStorage("Load")
	if got := w.get(w.url + "/ready"); got.status != http.StatusOK {
		t.Errorf("without storage: %s", got)
	}
}

// TestReadyWaitsForAPolicy: an issuer and a door are not ready before the first bundle.
func TestReadyWaitsForAPolicy(t *testing.T) {
	away := servertest.FreeURL(t)
	url := servertest.FreeURL(t)
	w := newIssuerWorld(t, issuerSettings{url: url})
	site := strings.TrimPrefix(url, "http://")
	registry := filepath.Join(w.dir, "registry.yaml")
	caddyfile := func(issuer, door string) string {
		return fmt.Sprintf("{\nm2m {\nissuer %s {\nregistry file %s\n%s\n}\n}\n}\nhttp://%s {\nm2m_ready /ready\nm2m_auth {\n%s\n}\n}\n", url, registry, issuer, site, door)
	}
	bundle := "policy {\nbundle " + away + "/b.tar.gz\n}"
	for lacks, config := range map[string]string{
		"policy":      caddyfile(bundle, ""),
		"door_policy": caddyfile("", bundle),
	} {
		if err := w.Load(config); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"ready":false,"issuers":[{"issuer":%q,"lacks":[%q]}]}`, url, lacks)
		servertest.Eventually(t, lacks+" is lacking", func() bool {
			got := w.get(url + "/ready")
			return got.status == http.StatusServiceUnavailable && got.body == want && got.header.Get("Cache-Control") == "no-store"
		})
	}
}

// TestReadyKeepsTheKeysOfRemoteIssuers: they are fetched before any token arrives, and the node is not ready before that.
func TestReadyKeepsTheKeysOfRemoteIssuers(t *testing.T) {
	servertest.SkipUnlessLong(t)
	other := servertest.StartIssuer(t)
	other.SetDown(true)
	d := newDoorSite(t, strings.ReplaceAll(doorSite("m2m_ready /ready\nm2m_auth {\nissuer ISSUER\nissuer OTHER\naudience "+doorAudience+"\n}\nrespond ok"), "OTHER", other.URL))
	want := fmt.Sprintf(`{"ready":false,"issuers":[{"issuer":%q,"lacks":["keys"]}]}`, other.URL)
	servertest.Eventually(t, "only the other issuer's keys are lacking", func() bool {
		got := d.ask("GET", "/ready", nil)
		return got.status == http.StatusServiceUnavailable && got.body == want
	})
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusOK {
		t.Errorf("a token of the one that is up: %d %s", got.status, got.body)
	}
	other.SetDown(false)
	servertest.Eventually(t, "the node is ready", func() bool { return d.ask("GET", "/ready", nil).body == readyBody })
	d.issuer.SetDown(true)
	other.SetDown(true)
	fetches := d.issuer.Fetches() + other.Fetches()
	for range 20 {
		if got := d.ask("GET", "/ready", nil); got.body != readyBody {
			t.Errorf("with the keys at hand: %s", got.body)
		}
	}
	if n := d.issuer.Fetches() + other.Fetches() - fetches; n != 0 {
		t.Errorf("asking made %d requests", n)
	}
}

// TestReadyOfARegistryInStorage: it is ready after its first read.
func TestReadyOfARegistryInStorage(t *testing.T) {
	url := servertest.FreeURL(t)
	s := servertest.Start(t, fmt.Sprintf("{\nm2m {\nissuer %s\n}\n}\n%s {\nm2m_ready\n}\n", url, url))
	d := &door{Server: s, t: t, address: strings.TrimPrefix(url, "http://")}
	for _, path := range []string{"/", "/any/path"} {
		if got := d.ask("GET", path, nil); got.status != http.StatusOK || got.body != readyBody {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}
