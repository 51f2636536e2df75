package issuer

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
)

// revokerWorld is an issuer that only revokes.
type revokerWorld struct {
	*testing.T
	*Server
	log *observer.ObservedLogs
	now time.Time
}

func newRevoker(t *testing.T, byClient, byAll int) *revokerWorld {
	defer func(one, all int) { t.Cleanup(func() { MaxRevokedByClient, MaxRevokedByAll = one, all }) }(MaxRevokedByClient, MaxRevokedByAll)
	MaxRevokedByClient, MaxRevokedByAll = byClient, byAll
	core, log := observer.New(zapcore.InfoLevel)
	logger := zap.New(core)
	s := &Server{Config: Config{
		URL: "https://" + t.Name(), Logger: logger,
		Audit: audit.Trail{Logger: logger, Emit: func(string, map[string]any) {}},
	}}
	s.Revocations = revocation.NewStore(&certmagic.FileStorage{Path: t.TempDir()}, "revocations")
	if err := s.Revocations.Open(t.Context()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return &revokerWorld{t, s, log, time.Now().Truncate(time.Second)}
}

// revoke revokes tokens of a client that were issued so long ago, and returns the status of the last answer.
func (w *revokerWorld) revoke(client string, ago time.Duration, ids ...string) (status int) {
	w.Helper()
	for _, id := range ids {
		request := &tokenReference{call: call{
			issuer: w.Server, http: httptest.NewRequest(http.MethodPost, "/", nil), start: w.now, authenticated: authenticated{client: &registry.Client{ID: client}},
		}}
		refused, err := request.makeRoom(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if refused != nil {
			return refused.Status
		}
		entry := revocation.OfClientToken(id, client, w.now.Add(-ago), w.now.Add(time.Hour))
		if err := w.Revoke(w.Context(), entry); err != nil {
			w.Fatal(err)
		}
	}
	return http.StatusOK
}

func (w *revokerWorld) share(client string) int {
	own, _ := w.Revocations.Share(client)
	return own
}

// TestTokensOfThisSecondDoNotCollapse: those that the client gets after the collapse have the same iat. When they alone are too
// many, the client may try again in a second.
func TestTokensOfThisSecondDoNotCollapse(t *testing.T) {
	w := newRevoker(t, 4, 100)
	if status := w.revoke("bot", 0, "a", "b", "c", "d", "e"); status != http.StatusTooManyRequests || w.share("bot") != 4 {
		t.Errorf("%d, with %d revoked", status, w.share("bot"))
	}
	w.now = w.now.Add(time.Second)
	if status := w.revoke("bot", time.Second, "e"); status != http.StatusOK || w.share("bot") != 0 {
		t.Errorf("a second later: %d, with %d revoked", status, w.share("bot"))
	}
	if revoked, _ := w.Revocations.Revoked(t.Context(), "new", "bot", w.now); revoked {
		t.Error("a token is refused that was issued after the collapse")
	}
	if n := w.log.FilterMessage("a client has revoked so many of its tokens that all that it was issued up to a moment are revoked now").Len(); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// TestAClientGoesOnRevoking and collapses again and again, so that its share stays bounded, and no other client notices.
func TestAClientGoesOnRevoking(t *testing.T) {
	w := newRevoker(t, 10, 1000)
	w.revoke("ant", time.Minute, "ant's")
	for k := range 100 {
		w.now = w.now.Add(time.Second)
		if status := w.revoke("bot", 2*time.Second, fmt.Sprint(k)); status != http.StatusOK {
			t.Fatalf("%d: %d", k, status)
		}
		if n := w.share("bot"); n > 10 {
			t.Fatalf("%d: %d are revoked one by one", k, n)
		}
		for _, test := range []struct {
			id, client string
			ago        time.Duration
			want       bool
		}{{fmt.Sprint(k), "bot", 2 * time.Second, true}, {"0", "bot", time.Duration(k+2) * time.Second, true}, {"new", "bot", 0, false}, {"new", "ant", time.Hour, false}} {
			if got, _ := w.Revocations.Revoked(t.Context(), test.id, test.client, w.now.Add(-test.ago)); got != test.want {
				t.Fatalf("%d: %+v: %t", k, test, got)
			}
		}
	}
	if w.share("ant") != 1 || w.Revocations.Set().Len() > 12 {
		t.Errorf("%d are in force", w.Revocations.Set().Len())
	}
}

// TestTheLargestCollapseFirst when all clients together have revoked too many.
func TestTheLargestCollapseFirst(t *testing.T) {
	w := newRevoker(t, 1000, 100)
	for client, count := range map[string]int{"large": 70, "middle": 22, "small": 8} {
		for k := range count {
			w.revoke(client, time.Duration(k+1)*time.Minute, fmt.Sprint(client, k))
		}
	}
	if status := w.revoke("small", time.Minute, "one more"); status != http.StatusOK {
		t.Errorf("it is answered with %d", status)
	}
	for client, want := range map[string]int{"large": 45, "middle": 22, "small": 9} {
		if got := w.share(client); got != want {
			t.Errorf("%s has %d, want %d", client, got, want)
		}
	}
	if lines := w.log.FilterField(zap.String("operation", collapseOperation)).All(); len(lines) != 1 || lines[0].ContextMap()["id"] != "large" {
		t.Errorf("the audit log has %v", lines)
	}
}

// TestTheFeedKeepsRoomForOperators: when it is almost full, clients are told to wait, and operators can still revoke.
func TestTheFeedKeepsRoomForOperators(t *testing.T) {
	w := newRevoker(t, 1000, 100)
	defer func(size int) { maxOwnFeed = size }(maxOwnFeed)
	maxOwnFeed = 1000
	if status := w.revoke("bot", time.Minute, "a"); status != http.StatusOK {
		t.Fatalf("at first: %d", status)
	}
	for k := range 20 {
		if err := w.Revoke(t.Context(), revocation.OfToken(fmt.Sprint(k), w.now.Add(time.Minute))); err != nil {
			t.Fatal(err)
		}
	}
	if status := w.revoke("bot", time.Minute, "b"); status != http.StatusTooManyRequests {
		t.Errorf("in a full feed: %d", status)
	}
}
