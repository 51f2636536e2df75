package admin

import (
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// TestLastUseOfAKey: a key that has the kid of a secret is not taken for used when the secret was.
func TestLastUseOfAKey(t *testing.T) {
	used := time.Unix(60, 0)
	keys := []registry.Key{{ID: "s1", Thumbprint: "one"}, {ID: "s2", Thumbprint: "two"}}
	views := viewClientKeys(keys, map[string]time.Time{"s1": used, "two": used})
	if !views[0].LastUsed.IsZero() || !views[1].LastUsed.Equal(used) {
		t.Errorf("last used: %v and %v", views[0].LastUsed, views[1].LastUsed)
	}
}
