package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestIssuerDown checks that doors elsewhere serve while an issuer is down until their bounds on the age of keys and
// revocations, then answer 503, and recover by themselves. It uses the shortest bounds that a config allows.
func TestIssuerDown(t *testing.T) {
	servertest.SkipUnlessLong(t)
	t.Parallel()
	c := newCluster(t, "", servertest.QuickKeys(0)).start()
	options := func(block string) *node {
		text := strings.Replace(strings.ReplaceAll(edgeFile, "ISSUER", c.URL), "issuer "+c.URL, "issuer "+c.URL+" {\n"+block+"\n}", 1)
		return newNode(t, text, nil).start()
	}
	revocations := options("revocation_max_age 1m")
	keys := options("revocation_stale allow\nmax_stale 1m") // keys are fresh for a minute at least
	patient := c.edge                                       // 5 minutes, and 24 hours
	bot := c.client("ci-bot")
	good, revoked := bot.mustToken(t, c.a.url), bot.mustToken(t, c.a.url)
	bot.about(t, c.a.url, "revoke", revoked)
	doors := []*node{revocations, keys, patient}
	for _, door := range doors {
		within(t, 30*time.Second, "what is revoked is refused", func() bool { return door.atDoor(revoked).status == 401 })
	}
	c.a.stop()
	c.b.stop()
	begun := time.Now()
	reasons := map[*node]string{revocations: "no_revocations", keys: "no_keys"} // why they end
	least := map[*node]time.Duration{revocations: 35 * time.Second, keys: 110 * time.Second}
	ended := make(map[*node]time.Duration)
	unavailable := func(door *node, a answer) bool {
		return a.status == 503 && reasons[door] != "" && strings.Contains(a.body, `"reason":"`+reasons[door]+`"`) && a.header.Get("Retry-After") != ""
	}
	for time.Since(begun) < 4*time.Minute && len(ended) < len(reasons) {
		for _, door := range doors {
			for raw, want := range map[string]int{good: 200, revoked: 401} {
				a, after := door.atDoor(raw), time.Since(begun)
				switch {
				case a.status == want && (ended[door] == 0 || want == 401 && door == revocations): // what is known to be revoked stays so
				case unavailable(door, a):
					if ended[door] == 0 {
						ended[door] = after
					}
				default:
					t.Fatalf("%s after the issuer went down: %s, want %d", after, a, want)
				}
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	for door, reason := range reasons {
		if ended[door] < least[door] {
			t.Errorf("%s after %s, want not before %s", reason, ended[door], least[door])
		}
		if a := must(t, "GET", door.url+"/ready", ""); a.status != 503 {
			t.Errorf("ready answers %s", a)
		}
		t.Logf("%s after %s", reason, ended[door].Round(time.Second))
	}
	c.a.start()
	fresh := bot.mustToken(t, c.a.url)
	for _, door := range doors {
		took := within(t, time.Minute, "the door goes on", func() bool {
			return door.atDoor(fresh).status == 200 && door.atDoor(revoked).status == 401
		})
		t.Logf("it goes on after %s", took.Round(100*time.Millisecond))
	}
}
