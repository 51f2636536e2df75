package caddymodule

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// These are how often a door checks a stream, and the reason of a refusal that does not know what is revoked.
const (
	streamInterval      = time.Second
	reasonNoRevocations = "no_revocations"
)

// doorOfRemote returns a door without leeway that takes tokens of a remote issuer.
func doorOfRemote(t *testing.T, remote *remoteIssuer, bound revocationBound) *door.Door {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d, err := door.New(door.Config{
		Issuers: []*door.TrustedIssuer{{
			Issuer:  &trustedRemote{remote, time.Hour, bound},
			Expect:  token.Expect{Issuer: feedIssuer, Audiences: []string{"api"}},
			Metrics: m.Door(feedIssuer),
		}},
		Audience: []string{"api"}, Host: caddyHost{}, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// streamRequest returns a request with a token that ends after half an hour.
func streamRequest(t *testing.T, key *token.SigningKey) *http.Request {
	t.Helper()
	now := time.Now()
	signed, err := key.Sign(fmt.Appendf(nil, `{"iss":%q,"sub":"bot","client_id":"bot","aud":"api","scope":"book:*:read","jti":"A","iat":%d,"exp":%d}`,
		feedIssuer, now.Unix(), now.Add(30*time.Minute).Unix()))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+signed)
	return r
}

// TestStreamsOfARemoteIssuer end when a new request with the token would be refused, and how late.
func TestStreamsOfARemoteIssuer(t *testing.T) {
	soon := time.Now().Add(100 * 365 * 24 * time.Hour).Unix() // also by the fake clock
	bound := revocationBound{maxAge: time.Minute}
	for name, test := range map[string]struct {
		bound    revocationBound
		change   func(f *feedOverNothing, remote *remoteIssuer)
		reason   string // "" is that the stream lives on
		from, to time.Duration
	}{
		"exp":       {bound: bound, reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"the token": {bound: bound, change: revokes("tokens", map[string]int64{digestOfName("A"): soon}), reason: "revoked", to: feedInterval + streamInterval},
		"the client": {bound: bound, change: revokes("clients", map[string]any{digestOfName("bot"): map[string]int64{"before": soon, "exp": soon}}),
			reason: "revoked", to: feedInterval + streamInterval},
		"the key":       {bound: bound, change: func(f *feedOverNothing, _ *remoteIssuer) { f.giveUpKey(soon) }, reason: "revoked", to: feedInterval + streamInterval},
		"another token": {bound: bound, change: revokes("tokens", map[string]int64{digestOfName("B"): soon}), reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"a feed that is away": {bound: bound, change: func(f *feedOverNothing, _ *remoteIssuer) { f.answers(func() { f.status = 500 }) },
			reason: "unknown", from: 50 * time.Second, to: time.Minute + 2*streamInterval},
		"a feed that is away, and allowed to be": {bound: revocationBound{maxAge: time.Minute, allow: true},
			change: func(f *feedOverNothing, _ *remoteIssuer) { f.answers(func() { f.status = 500 }) },
			reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"an issuer that no config has": {bound: bound, change: func(_ *feedOverNothing, remote *remoteIssuer) { _ = remote.Destruct() },
			reason: "unknown", to: streamInterval},
	} {
		t.Run(name, func(t *testing.T) {
			testRemote(t, func(t *testing.T, f *feedOverNothing, remote *remoteIssuer, _ *observer.ObservedLogs) {
				d, passed := doorOfRemote(t, remote, test.bound), false
				next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
					passed = true
					if test.change != nil {
						test.change(f, remote)
					}
					select {
					case <-r.Context().Done():
					case <-time.After(time.Hour):
					}
					return nil
				})
				begun, answer := time.Now(), httptest.NewRecorder()
				if err := d.ServeHTTP(answer, streamRequest(t, f.key), next); err != nil || !passed {
					t.Fatal(err, answer.Body)
				}
				if took := time.Since(begun); took < test.from || took > test.to {
					t.Errorf("it ends after %s, want %s to %s", took, test.from, test.to)
				}
				body := test.reason
				if body == "unknown" {
					body = reasonNoRevocations
				}
				if !strings.Contains(answer.Body.String(), `"reason":"`+body+`"`) {
					t.Errorf("the answer is %d %s", answer.Code, answer.Body)
				}
			})
		})
	}
}

func revokes(what string, entries any) func(*feedOverNothing, *remoteIssuer) {
	return func(f *feedOverNothing, _ *remoteIssuer) {
		f.answers(func() { f.feed = map[string]any{what: entries} })
	}
}

// giveUpKey has the issuer sign with another key, and give the former up.
func (f *feedOverNothing) giveUpKey(until int64) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		f.t.Fatal(err)
	}
	f.answers(func() {
		f.feed = map[string]any{"keys": map[string]int64{f.key.ID(): until}}
		f.key = key
	})
}
