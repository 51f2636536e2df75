package remote

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/remote/remotetest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// keysOnly is an issuer without a feed. It answers while up is true.
type keysOnly struct {
	jwks []byte
	up   bool
}

func (i *keysOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := http.StatusOK, string(i.jwks)
	switch {
	case !i.up:
		status = http.StatusBadGateway
	case !strings.HasSuffix(r.URL.Path, "/jwks"):
		body = `{"issuer":"https://auth.example.com","jwks_uri":"https://auth.example.com/jwks"}`
	}
	header := http.Header{"Cache-Control": {"max-age=600"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestMaxStale: each door has its own bound of the age of keys that cannot be refreshed.
func TestMaxStale(t *testing.T) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		i := &keysOnly{token.NewKeySet(key).JWKS(), true}
		remote := New(ByDiscovery("https://auth.example.com", nil), &http.Client{Transport: i}, zap.NewNop)
		defer func() { _ = remote.Destruct() }()
		short, long := remote.Trust(Bounds{KeysMaxStale: 5 * time.Minute}), remote.Trust(Bounds{KeysMaxStale: time.Hour})
		can := func() (able []bool) {
			for _, door := range []*Trusted{short, long} {
				_, err := door.KeySet(t.Context(), key.ID())
				able = append(able, err == nil)
			}
			synctest.Wait()
			return able
		}
		for _, step := range []struct {
			after time.Duration
			up    bool
			want  []bool
		}{
			{0, true, []bool{true, true}},
			{14 * time.Minute, false, []bool{true, true}}, // fresh for ten minutes, stale for four
			{2 * time.Minute, false, []bool{false, true}},
			{time.Hour, false, []bool{false, false}},
			{time.Minute, true, []bool{true, true}},
		} {
			time.Sleep(step.after)
			i.up = step.up
			if got := can(); !slices.Equal(got, step.want) {
				t.Errorf("%s later: %v, want %v", step.after, got, step.want)
			}
		}
	})
}

// TestRevokedSinceBeforeAnyFeed: a request that began while the issuer published no feed goes on when it begins to publish
// one, even if the feed cannot be read at first. Once it is read, its revocations count.
func TestRevokedSinceBeforeAnyFeed(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		claims, bound := &token.Claims{ID: "A", ClientID: "bot", IssuedAt: time.Now()}, Bounds{RevocationsMaxAge: time.Minute}
		f.Change(func() { f.Status = 500 })
		r.start()
		pass(time.Minute)
		if revoked, err := trust(r, bound).revokedSince(claims, ""); revoked || err != nil {
			t.Errorf("before the feed was ever read: %t, %v", revoked, err)
		}
		f.Change(func() {
			f.Status, f.Feed = 0, map[string]any{"tokens": map[string]int64{remotetest.DigestOf("A"): time.Now().Add(time.Hour).Unix()}}
		})
		pass(feedMaxRetry)
		if revoked, err := trust(r, bound).revokedSince(claims, ""); !revoked || err != nil {
			t.Errorf("after the feed was read: %t, %v", revoked, err)
		}
	})
}
