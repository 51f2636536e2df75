package caddymodule

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/remote"
)

// TestMaxStaleOfADoor is the setting of its issuer, or a day.
func TestMaxStaleOfADoor(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: 24 * time.Hour, time.Hour: time.Hour} {
		app := &App{ctx: caddy.Context{Context: t.Context()}, remotes: make(map[string]*remote.Issuer)}
		trusted := &TrustedIssuer{Reach: Reach{URL: "https://auth.example.com", MaxStale: caddy.Duration(given)}}
		err := trusted.provisionRemote(app)
		t.Cleanup(func() { _ = app.Cleanup() })
		if keys, ok := trusted.issuer.(*remote.Trusted); err != nil || !ok || keys.Bounds.KeysMaxStale != want {
			t.Errorf("%s: %+v, %v", given, trusted.issuer, err)
		}
	}
}
