package remote

import (
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/remote/remotetest"
)

// TestRefusedFeedIsReadAgain refuses a feed because this clock is behind. When that is mended, the same feed is taken,
// although its ETag has not changed.
func TestRefusedFeedIsReadAgain(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		later := time.Now().Add(time.Hour)
		f.Change(func() {
			f.ETag = `"1"`
			f.Feed = map[string]any{"tokens": map[string]any{remotetest.DigestOf("A"): later.Add(time.Hour).Unix()}, "iat": later.Unix(), "as_of": later.Unix()}
			signed := f.Signed()
			f.Answer = func() string { return signed }
		})
		r.start()
		pass(time.Minute)
		if _, matched := f.Asked(); r.failures.Reason() == "" || matched != 0 {
			t.Fatalf("%q, and %d answers of 304", r.failures.Reason(), matched)
		}
		pass(time.Hour)
		if !r.has(t, "A") || r.failures.Reason() != "" {
			t.Errorf("it is not taken: %q", r.failures.Reason())
		}
	})
}
