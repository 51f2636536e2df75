package caddymodule_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// otherPort is a server on another port of this host, which counts the connections that it gets.
func otherPort(t *testing.T, handler http.Handler) (server *httptest.Server, connections *atomic.Int64) {
	connections = new(atomic.Int64)
	server = httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server, connections
}

// originDoor is a door whose issuer names an endpoint on another port, at OTHER.
func originDoor(t *testing.T, member, option string) (*door, *atomic.Int64) {
	issuer := servertest.StartIssuer(t)
	other, connections := otherPort(t, issuer)
	issuer.Announce(member, other.URL+"/jwks")
	site := doorSite("m2m_auth {\nissuer ISSUER {\naudience " + doorAudience + "\n" + option + "\n}\n}\nreverse_proxy UPSTREAM")
	d := &door{t: t, address: fmt.Sprintf("127.0.0.1:%d", servertest.FreePort(t)), issuer: issuer, upstream: startDoorUpstream(t)}
	d.caddyfile = strings.ReplaceAll(d.fill(site), "OTHER", other.URL)
	d.Server = servertest.Start(t, d.caddyfile)
	return d, connections
}

// TestKeysOnAnotherOrigin: a loopback issuer whose metadata names another port of this host does not make the door
// send anything there. The log says once what to do.
func TestKeysOnAnotherOrigin(t *testing.T) {
	servertest.SkipUnlessLong(t)
	d, connections := originDoor(t, "jwks_uri", "")
	for range 2 {
		if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusServiceUnavailable || got.reason() != "no_keys" {
			t.Errorf("%d %s", got.status, got.body)
		}
		time.Sleep(1200 * time.Millisecond) // after which it is tried again
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to the other port", n)
	}
	var told []string
	for _, line := range d.LogLines("m2m") {
		if line["msg"] == "keys of a remote issuer cannot be refreshed" && line["issuer"] == d.issuer.URL {
			told = append(told, line["error"].(string))
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "jwks_uri is on another origin, http://127.0.0.1:") || !strings.Contains(told[0], "name it in jwks_origin") {
		t.Errorf("the log says %q", told)
	}
}

func TestKeysOnAnotherOriginThatIsNamed(t *testing.T) {
	d, connections := originDoor(t, "jwks_uri", "jwks_origin https://keys.example.com OTHER")
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusOK || connections.Load() == 0 {
		t.Errorf("%d %s, %d connections", got.status, got.body, connections.Load())
	}
}

// TestFeedOnAnotherOrigin is refused, although the keys may be on that origin.
func TestFeedOnAnotherOrigin(t *testing.T) {
	d, connections := originDoor(t, "m2m_revocations_uri", "jwks_origin OTHER")
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusServiceUnavailable || connections.Load() != 0 {
		t.Errorf("%d %s, %d connections", got.status, got.body, connections.Load())
	}
	if !strings.Contains(d.Log(), "m2m_revocations_uri is on another origin, http://127.0.0.1:") {
		t.Error("the log does not say why")
	}
}

// TestMovedKeysOfADoor: after a reload, a door that allows other origins does not use the issuer's former keys.
func TestMovedKeysOfADoor(t *testing.T) {
	d, connections := originDoor(t, "jwks_uri", "jwks_origin OTHER")
	raw := d.token("")
	if got := d.ask("GET", "/", bearer(raw)); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	named, before := d.caddyfile, connections.Load()
	at := strings.Index(named, "jwks_origin")
	end := at + strings.Index(named[at:], "\n")
	if err := d.Load(named[:at] + named[end:]); err != nil {
		t.Fatal(err)
	}
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusServiceUnavailable || connections.Load() != before {
		t.Errorf("%d %s, %d connections", got.status, got.body, connections.Load()-before)
	}
	if err := d.Load(named); err != nil {
		t.Fatal(err)
	}
	if got := d.ask("GET", "/", bearer(raw)); got.status != http.StatusOK {
		t.Errorf("named again: %d %s", got.status, got.body)
	}
}

// TestOriginsThatAreConfigErrors: they are also found behind a placeholder, which hides them from the Caddyfile's parser. It
// is an error if doors name different origins for an issuer.
func TestOriginsThatAreConfigErrors(t *testing.T) {
	d := newDoor(t, "")
	t.Setenv("DOOR_ORIGIN", "https://keys.example.com/path")
	t.Setenv("DOOR_PLAIN_ORIGIN", "http://127.0.0.1:9999")
	issuer := func(url, options string) string {
		return "m2m_auth {\nissuer " + url + " {\naudience x\n" + options + "\n}\n}"
	}
	for directives, want := range map[string]string{
		issuer("ISSUER", "jwks_origin {env.DOOR_ORIGIN}"):                                                                              "normal form, https://keys.example.com",
		issuer("https://a.example", "jwks_origin {env.DOOR_PLAIN_ORIGIN}"):                                                             "must be https",
		issuer("ISSUER", "jwks_origin {env.DOOR_NO_ORIGIN}"):                                                                           "DOOR_NO_ORIGIN",
		issuer("ISSUER", "") + "\n" + strings.Replace(issuer("ISSUER", "jwks_origin https://b.example"), "m2m_auth", "m2m_auth /b", 1): "each must name the same",
	} {
		err := d.Load(d.fill(doorSite(directives)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", directives, err, want)
		}
	}
	same := issuer("ISSUER", "jwks_origin https://b.example https://c.example {env.DOOR_PLAIN_ORIGIN}") + "\n" +
		strings.Replace(issuer("ISSUER", "jwks_origin {env.DOOR_PLAIN_ORIGIN} https://c.example https://b.example"), "m2m_auth", "m2m_auth /b", 1)
	if err := d.Load(d.fill(doorSite(same))); err != nil {
		t.Errorf("the same in another order: %v", err)
	}
}
