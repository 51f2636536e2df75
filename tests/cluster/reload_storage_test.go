package cluster_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReloadWithoutStorage checks that a config is refused if its storage is unreachable or has lost what the running config
// stored there, and that the running config stays in force.
func TestReloadWithoutStorage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "token_ttl 9m", nil).start()
	bot := c.client("ci-bot")
	good, revoked := bot.mustToken(t, c.a.url), bot.mustToken(t, c.a.url)
	bot.about(t, c.a.url, "revoke", revoked)
	within(t, 10*time.Second, "B refuses what is revoked", func() bool { return c.b.atDoor(revoked).status == 401 })
	hold := func(when string) {
		t.Helper()
		if a, b := c.b.atDoor(good), c.b.atDoor(revoked); a.status != 200 || b.status != 401 {
			t.Errorf("%s: a good token gets %s, and a revoked one %s", when, a, b)
		}
		if a, err := bot.decided(c.b.url); err != nil || a.status != 200 {
			t.Errorf("%s: a client gets %s, %v", when, a, err)
		}
	}
	within(t, 10*time.Second, "B knows the client", bot.answered(c.b, 200))
	configs, empty := c.b.variants(ttl, otherTTL), t.TempDir()
	for when, mounted := range map[string]string{"nothing is there": filepath.Join(t.TempDir(), "nothing"), "an empty folder": empty} {
		c.mount(mounted)
		if a := c.b.reload(configs[1]); a.status == 200 || !strings.Contains(a.body, "the storage") {
			t.Errorf("%s: a config is accepted, or refused for another reason: %s", when, a)
		}
		hold(when)
	}
	if left, err := os.ReadDir(filepath.Join(empty, "m2m")); err == nil {
		t.Errorf("it has started from nothing: %v", left)
	}
	c.mount(c.storage)
	if a := c.b.reload(configs[1]); a.status != 200 {
		t.Errorf("when the storage is back: %s", a)
	}
	hold("when the storage is back")
	if a, err := bot.token(plain, c.b.url); err != nil || a.field("expires_in") != 480.0 {
		t.Errorf("the new config is not in force: %s, %v", a, err)
	}
}
