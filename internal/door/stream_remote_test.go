package door

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/remote/remotetest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// feedInterval is how often package remote reads a feed.
const feedInterval = 5 * time.Second

// testRemote runs a test under a fake clock, with a remote issuer whose keys have been fetched.
func testRemote(t *testing.T, test func(t *testing.T, f *remotetest.Issuer, issuer *remote.Issuer)) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &remotetest.Issuer{T: t, Key: key}
		issuer := remote.New(remote.ByDiscovery(remotetest.URL, nil), &http.Client{Transport: f}, zap.NewNop)
		defer func() { _ = issuer.Destruct() }()
		if _, err := issuer.KeySet(t.Context(), key.ID()); err != nil {
			t.Fatal(err)
		}
		test(t, f, issuer)
	})
}

// doorOfRemote returns a door without leeway that accepts tokens of a remote issuer.
func doorOfRemote(t *testing.T, issuer *remote.Issuer, bounds remote.Bounds) *Door {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	bounds.KeysMaxStale = time.Hour
	d, err := New(Config{
		Issuers: []*TrustedIssuer{{
			Issuer:  issuer.Trust(bounds),
			Expect:  token.Expect{Issuer: remotetest.URL, Audiences: []string{"api"}},
			Metrics: m.Door(remotetest.URL),
		}},
		Audience: []string{"api"}, Host: testHost{}, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// streamRequest returns a request with a token that expires after half an hour.
func streamRequest(t *testing.T, key *token.SigningKey) *http.Request {
	t.Helper()
	now := time.Now()
	signed, err := key.Sign(fmt.Appendf(nil, `{"iss":%q,"sub":"bot","client_id":"bot","aud":"api","scope":"book:*:read","jti":"A","iat":%d,"exp":%d}`,
		remotetest.URL, now.Unix(), now.Add(30*time.Minute).Unix()))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+signed)
	return r
}

// TestStreamsOfARemoteIssuer: a stream ends when a new request with its token would be refused, within the stated time.
func TestStreamsOfARemoteIssuer(t *testing.T) {
	soon := time.Now().Add(100 * 365 * 24 * time.Hour).Unix() // also by the fake clock
	bound := remote.Bounds{RevocationsMaxAge: time.Minute}
	for name, test := range map[string]struct {
		bound    remote.Bounds
		change   func(f *remotetest.Issuer, issuer *remote.Issuer)
		reason   string
		from, to time.Duration
	}{
		"exp":       {bound: bound, reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"the token": {bound: bound, change: revokes("tokens", map[string]int64{remotetest.DigestOf("A"): soon}), reason: "revoked", to: feedInterval + streamInterval},
		"the client": {bound: bound, change: revokes("clients", map[string]any{remotetest.DigestOf("bot"): map[string]int64{"before": soon, "exp": soon}}),
			reason: "revoked", to: feedInterval + streamInterval},
		"the key":       {bound: bound, change: func(f *remotetest.Issuer, _ *remote.Issuer) { f.RevokeKey(soon) }, reason: "revoked", to: feedInterval + streamInterval},
		"another token": {bound: bound, change: revokes("tokens", map[string]int64{remotetest.DigestOf("B"): soon}), reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"a feed that fails": {bound: bound, change: func(f *remotetest.Issuer, _ *remote.Issuer) { f.Change(func() { f.Status = 500 }) },
			reason: "unknown", from: 50 * time.Second, to: time.Minute + 2*streamInterval},
		"a feed that fails, and may": {bound: remote.Bounds{RevocationsMaxAge: time.Minute, AllowStale: true},
			change: func(f *remotetest.Issuer, _ *remote.Issuer) { f.Change(func() { f.Status = 500 }) },
			reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"an issuer that is not in the config": {bound: bound, change: func(_ *remotetest.Issuer, issuer *remote.Issuer) { _ = issuer.Destruct() },
			reason: "unknown", to: streamInterval},
	} {
		t.Run(name, func(t *testing.T) {
			testRemote(t, func(t *testing.T, f *remotetest.Issuer, issuer *remote.Issuer) {
				d, passed := doorOfRemote(t, issuer, test.bound), false
				next := handlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					passed = true
					if test.change != nil {
						test.change(f, issuer)
					}
					return waiting(w, r)
				})
				begun, answer := time.Now(), httptest.NewRecorder()
				if err := d.ServeHTTP(answer, streamRequest(t, f.Key), next); err != nil || !passed {
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

func revokes(what string, entries any) func(*remotetest.Issuer, *remote.Issuer) {
	return func(f *remotetest.Issuer, _ *remote.Issuer) {
		f.Change(func() { f.Feed = map[string]any{what: entries} })
	}
}
