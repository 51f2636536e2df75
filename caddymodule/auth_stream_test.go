package caddymodule_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// streamFile is the size of a file that no client of these tests reads to its end.
const streamFile = 1 << 30

// streamDoor has two doors before one upstream and one file. The door below /kept keeps streams.
func streamDoor(t *testing.T) (*door, *streamUpstream) {
	t.Helper()
	own := "issuer ISSUER\naudience " + doorAudience + "\nleeway 0s\n"
	dir := t.TempDir()
	if err := os.Truncate(servertest.WriteFile(t, dir, "held/file", ""), streamFile); err != nil {
		t.Fatal(err)
	}
	d := newDoorSite(t, "{\nservers {\nprotocols h1 h2c\n}\n}\n"+doorSite("log\nroute {\nmetrics /metrics\nm2m_auth /kept/* {\nkeep_streams\n"+own+"}\nm2m_auth /held/* {\n"+own+
		"}\nencode\nroot "+dir+"\nfile_server /held/file\nreverse_proxy UPSTREAM {\nfail_duration 1m\n}\n}"))
	u := new(streamUpstream)
	d.upstream.answerWith(u.ServeHTTP)
	return d, u
}

// TestStreamsEndWithTheToken: streams of all kinds end when the token expires, and not before, unless the door keeps
// streams.
func TestStreamsEndWithTheToken(t *testing.T) {
	servertest.SkipUnlessLong(t)
	d, u := streamDoor(t)
	before := ownGoroutines()
	exp := time.Now().Add(6 * time.Second).Truncate(time.Second)
	raw := d.sign(map[string]any{"exp": exp.Unix()})
	late := d.sign(map[string]any{"exp": exp.Add(-time.Second).Unix()})
	ahead := make(chan struct{})
	go func() {
		defer close(ahead)
		time.Sleep(time.Until(exp) - 2500*time.Millisecond) // the request takes half a second
		if got := d.ask("GET", "/held/short", bearer(raw)); got.status != 200 {
			t.Errorf("a request before exp is answered %d %s", got.status, got.body)
		}
	}()
	var held, kept []*streamClient
	unread, file := openStream(t, d.address, "/held/unread", raw), openStream(t, d.address, "/held/file", raw)
	for _, kind := range []string{"socket", "events", "upload", "stalled", "pending"} {
		held = append(held, openStream(t, d.address, "/held/"+kind, raw))
	}
	for _, kind := range []string{"socket", "events", "upload"} {
		kept = append(kept, openStream(t, d.address, "/kept/"+kind, late))
	}
	var all sync.WaitGroup
	for _, c := range held {
		c.alive(t)
		all.Go(func() { c.closedBetween(t, u, exp, exp, "expired") })
	}
	all.Go(func() { streamsOverHTTP2(t, d, raw, exp) })
	all.Wait()
	<-ahead
	if got := d.ask("GET", "/held/short", bearer(d.sign(nil))); got.status != 200 || strings.Contains(d.Log(), "reading from backend") {
		t.Errorf("the upstream is blamed: %d %s", got.status, got.body)
	}
	for _, c := range kept {
		c.alive(t)
		_ = c.Close()
	}
	servertest.Eventually(t, "the access log tells, also of a client that reads nothing", func() bool { return closings(d.Server, "expired") == 9 })
	if text, _ := file.rest(); !strings.HasPrefix(text, "HTTP/1.1 200 OK") || len(text) >= streamFile {
		t.Errorf("%d bytes of the file come: %.100q", len(text), text)
	}
	unread.closedBetween(t, u, exp, time.Now(), "expired")
	if want := fmt.Sprintf(`caddy_m2m_auth_streams_closed_total{issuer=%q,reason="expired"} 9`, d.issuer.URL); !strings.Contains(d.ask("GET", "/metrics", nil).body, want) {
		t.Errorf("the metrics lack %s", want)
	}
	servertest.Eventually(t, "as many goroutines as before", func() bool { return ownGoroutines() <= before })
}

// plainHTTP2 speaks HTTP/2 without TLS.
func plainHTTP2() *http.Transport {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	return transport
}

// streamsOverHTTP2 has server-sent events and an upload end, and the connection go on.
func streamsOverHTTP2(t *testing.T, d *door, raw string, exp time.Time) {
	transport := plainHTTP2()
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), doorTimeout)
	defer cancel()
	do := func(method, path string, body io.Reader) (*http.Response, error) {
		request, err := http.NewRequestWithContext(ctx, method, "http://"+d.address+path, body)
		if err != nil {
			return nil, err
		}
		request.Header = bearer(raw)
		return transport.RoundTrip(request)
	}
	events, err := do("GET", "/held/2/events", nil)
	if err != nil || events.ProtoMajor != 2 {
		t.Errorf("HTTP/2: %v, %v", events, err)
		return
	}
	defer events.Body.Close()
	stalled, _ := io.Pipe()
	upload, err := do("PUT", "/held/2/upload", stalled)
	if err != nil || upload.StatusCode != http.StatusUnauthorized {
		t.Errorf("an upload over HTTP/2 ends with %v, %v", upload, err)
	} else {
		_ = upload.Body.Close()
	}
	if _, err := io.Copy(io.Discard, events.Body); err == nil {
		t.Error("events over HTTP/2 look whole")
	}
	if now := time.Now(); now.Before(exp) || now.After(exp.Add(streamSlack)) {
		t.Errorf("HTTP/2 ends at %s", now)
	}
	if again, err := do("GET", "/held/short", nil); err != nil || again.StatusCode != http.StatusUnauthorized {
		t.Errorf("the connection afterwards: %v, %v", again, err)
	}
}

// localStreams is an issuer with a door before an upstream, in one process, and its admin endpoint.
func localStreams(t *testing.T) (*issuerWorld, *streamUpstream) {
	t.Helper()
	upstream := startDoorUpstream(t)
	u := new(streamUpstream)
	upstream.answerWith(u.ServeHTTP)
	w := newIssuerWorld(t, issuerSettings{
		options: "audience https://api.example.com",
		site:    "log\nm2m_auth /held/*\nm2m_auth /kept/* {\nkeep_streams\n}\nreverse_proxy " + upstream.URL + " {\nstream_close_delay 1m\n}",
	})
	w.Admin = strings.TrimPrefix(servertest.FreeURL(t), "http://")
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	return w, u
}

// admin has the admin API create something.
func (w *issuerWorld) admin(path, body string) {
	w.t.Helper()
	if a := w.do(w.request("POST", "http://"+w.Admin+path, strings.NewReader(body), "Content-Type", "application/json")); a.status != http.StatusCreated {
		w.t.Fatalf("POST %s: %s", path, a)
	}
}

// open opens streams of all kinds that can be seen to live.
func open(t *testing.T, address, folder, raw string) []*streamClient {
	t.Helper()
	var clients []*streamClient
	for _, kind := range []string{"socket", "events", "upload"} {
		c := openStream(t, address, folder+"/"+kind, raw)
		c.alive(t)
		clients = append(clients, c)
	}
	return clients
}

// allClosed fails the test unless the streams are closed within a second after due.
func allClosed(t *testing.T, clients []*streamClient, u *streamUpstream, due time.Time, reason string) {
	t.Helper()
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() { c.closedBetween(t, u, due, due.Add(time.Second), reason) })
	}
	all.Wait()
}

func allAlive(t *testing.T, groups ...[]*streamClient) {
	t.Helper()
	for _, c := range slices.Concat(groups...) {
		c.alive(t)
	}
}

// TestRevokedStreamsEnd: by jti, by client and by key, also those that were let through before the config was replaced.
// When the issuer leaves the config all end, because this process no longer learns what it revokes.
func TestRevokedStreamsEnd(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w, u := localStreams(t)
	address, raw := strings.TrimPrefix(w.url, "http://"), w.token("careful")
	byToken, kept := open(t, address, "/held/token", raw), open(t, address, "/kept", raw)
	byClient, byKey := open(t, address, "/held/client", w.token("demo")), open(t, address, "/held/key", w.token("almighty"))
	w.revoke("careful", raw)
	allClosed(t, byToken, u, time.Now(), "revoked")
	allAlive(t, kept, byClient, byKey)
	if got := w.metric("auth_streams_closed_total", `reason="revoked"`); got != "3" {
		t.Errorf("%s streams are counted", got)
	}
	if err := w.Load(w.caddyfile() + "# reloaded\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // the former config has ended, and a check has been made
	allAlive(t, kept, byClient, byKey)
	w.admin("/m2m/revocations", `{"client_id": "demo"}`)
	allClosed(t, byClient, u, time.Now(), "revoked")
	allAlive(t, kept, byKey)
	w.admin("/m2m/keys/rotate", `{"now": true, "reason": "leaked"}`)
	allClosed(t, byKey, u, time.Now(), "revoked")
	if got := w.metric("auth_streams_closed_total", `reason="revoked"`); got != "6" {
		t.Errorf("after the reload %s streams are counted", got)
	}
	byIssuer := open(t, address, "/held/issuer", w.token("careful"))
	if err := w.Load(strings.Replace(w.caddyfile(), w.url+" {\nregistry", "https://other.example.com {\nregistry", 1)); err != nil {
		t.Fatal(err)
	}
	allClosed(t, byIssuer, u, time.Now(), "no_revocations")
	allAlive(t, kept)
	servertest.Eventually(t, "the access log tells", func() bool { return closings(w.Server, "revoked") == 9 && closings(w.Server, "unknown") == 3 })
}

// TestStreamsEndWhenRevocationsAreTooOld, as a new request would be refused. A stream that was let through while there
// was no feed goes on.
func TestStreamsEndWhenRevocationsAreTooOld(t *testing.T) {
	servertest.SkipUnlessLong(t)
	var f *feedOf
	own := func(path, options string) string {
		return "m2m_auth " + path + " {\nissuer ISSUER {\naudience " + doorAudience + "\nrevocation_max_age 1m\n" + options + "\n}\n}\n"
	}
	d := newDoorFor(t, func(issuer *servertest.Issuer) { f = publishFeed(issuer) },
		doorSite(own("/held/*", "")+own("/lax/*", "revocation_stale allow")+"reverse_proxy UPSTREAM"))
	u := new(streamUpstream)
	d.upstream.answerWith(u.ServeHTTP)
	asOf := time.Now().Add(-53 * time.Second).Truncate(time.Second)
	f.set(func(feed *revocation.Feed) { feed.AsOf = asOf.Unix() }, nil)
	held, lax := open(t, d.address, "/held", d.sign(nil)), open(t, d.address, "/lax", d.sign(nil))
	time.Sleep(1100 * time.Millisecond)
	allAlive(t, held)
	allClosed(t, held, u, asOf.Add(time.Minute), "no_revocations")
	allAlive(t, lax)
}
