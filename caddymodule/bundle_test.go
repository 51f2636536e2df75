package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestBundleServedByCaddy: an issuer follows a bundle on a static server, which is the same Caddy.
func TestBundleServedByCaddy(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := newBundleWorld(t)
	if err := w.Validate(w.caddyfile()); err != nil {
		t.Fatalf("a config is not valid without its bundle: %v", err)
	}
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatal(err)
	}

	// before there is a bundle, no token
	refusedToken(t, w.ask("demo", "book:read"), http.StatusServiceUnavailable, "temporarily_unavailable")
	w.awaitHealth("policy", "0")
	if n := w.metric("policy_errors_total", `kind="not_ready"`); n == "" || n == "0" {
		t.Errorf("decisions that were not ready: %q", n)
	}
	servertest.Eventually(t, "the log says that there is no policy", func() bool {
		return strings.Contains(strings.Join(w.errorLines(), "\n"), "policy is broken, and there is no earlier one: bundle "+w.url+"/bundles/m2m.tar.gz: the server answered 404")
	})
	if s := w.status(); s["healthy"] != false || s["revision"] != "" || !strings.Contains(fmt.Sprint(s["problem"]), "404") {
		t.Errorf("status %v", s)
	}

	// the first and the second
	w.publish(signedBundle(t, bundleKey, "v1", ttlPolicy(61)))
	w.awaitLifetime(61)
	w.awaitHealth("policy", "1")
	s := w.status()
	if s["source"] != "bundle" || fmt.Sprint(s["where"]) != "["+w.url+"/bundles/m2m.tar.gz]" || s["etag"] == nil || s["downloaded"] == nil || s["problem"] != nil {
		t.Errorf("status %v", s)
	}
	w.publish(signedBundle(t, bundleKey, "v2", ttlPolicy(62)))
	w.awaitLifetime(62)
	revision := fmt.Sprint(w.status()["revision"])
	if !regexp.MustCompile(`^v2@[0-9a-f]{16}$`).MatchString(revision) {
		t.Errorf("revision %q", revision)
	}
	decisions := w.LogLines("m2m.decisions")
	if last := decisions[len(decisions)-1]; last["revision"] != revision {
		t.Errorf("the decision log has %v, want %s", last["revision"], revision)
	}

	// a bad bundle is logged, and the last good one stays in force
	for reason, bundle := range map[string]string{
		"the signature is not good": signedBundle(t, bundleKey+"x", "v3", ttlPolicy(63)),
		"it is not signed":          bundleOf(t, ttlPolicy(63)),
		"ttl.rego:3: ":              signedBundle(t, bundleKey, "v3", map[string]string{"ttl.rego": "package m2m.token\n\nttl contains x\n"}),
		"not a gzipped tar archive": "<html>not now</html>",
	} {
		w.publish(bundle)
		servertest.Eventually(t, "the log says "+reason, func() bool { return strings.Contains(strings.Join(w.errorLines(), "\n"), reason) })
		w.awaitHealth("policy", "0")
		if s := w.status(); s["healthy"] != false || !strings.Contains(fmt.Sprint(s["problem"]), reason) || s["revision"] != revision {
			t.Errorf("status %v, want %q", s, reason)
		}
		if got := w.lifetime(); got != 62 {
			t.Errorf("with a bundle of which %q tokens are for %d seconds", reason, got)
		}
	}

	// a node that starts without its bundle server
	servertest.Remove(t, w.www, "m2m.tar.gz")
	if err := w.Restart(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	if got := w.lifetime(); got != 62 {
		t.Errorf("after a restart tokens are for %d seconds", got)
	}
	w.awaitHealth("policy", "0")
	w.publish(signedBundle(t, bundleKey, "v4", ttlPolicy(64)))
	w.awaitLifetime(64)
	etag := strings.Trim(fmt.Sprint(w.status()["etag"]), `"`)
	servertest.Eventually(t, "v4 is kept", func() bool {
		return slices.ContainsFunc(w.kept(), func(name string) bool {
			content, err := os.ReadFile(name)
			return err == nil && strings.Contains(string(content), etag)
		})
	})
	if n := len(w.kept()); n != 1 {
		t.Errorf("%d bundles are kept", n)
	}
	for _, secret := range []string{bundleKey, bundleToken} {
		if strings.Contains(w.Log(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
	if shown := fmt.Sprint(w.status(), w.errorLines()); strings.Contains(shown, "tenant") {
		t.Errorf("the query is in %s", shown)
	}
}

// TestValidateReadsBundleFiles: faults of a bundle file are found, unlike those of a bundle that is yet to be downloaded.
func TestValidateReadsBundleFiles(t *testing.T) {
	t.Setenv("BUNDLE_KEY", bundleKey)
	tests := map[string]struct {
		bundle string
		want   string
	}{
		"good":        {signedBundle(t, bundleKey, "v1", ttlPolicy(61)), ""},
		"not signed":  {bundleOf(t, ttlPolicy(61)), "m2m.tar.gz: it is not signed"},
		"another key": {signedBundle(t, strings.ToUpper(bundleKey), "v1", ttlPolicy(61)), "m2m.tar.gz: the signature is not good"},
		"broken":      {signedBundle(t, bundleKey, "v1", map[string]string{"a.rego": "package m2m.token\n\nttl contains x\n"}), "a.rego:3: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := servertest.WriteFile(t, t.TempDir(), "m2m.tar.gz", test.bundle)
			w := newIssuerWorld(t, issuerSettings{policyOptions: "bundle " + file + " {\nkey ci {env.BUNDLE_KEY} HS256\n}"})
			err := w.Validate(w.caddyfile())
			if got := fmt.Sprint(err); (err == nil) != (test.want == "") || test.want != "" && !strings.Contains(got, test.want) {
				t.Errorf("validating: %v, want %q", err, test.want)
			}
		})
	}
}

// TestBundleFileIsWatched replaces the file while the issuer runs.
func TestBundleFileIsWatched(t *testing.T) {
	dir := t.TempDir()
	file := servertest.WriteFile(t, dir, "m2m.tar.gz", bundleOf(t, ttlPolicy(61)))
	w := &bundleWorld{issuerWorld: startIssuer(t, issuerSettings{policyOptions: "timeout 20s\nbundle " + file}), www: dir}
	if got := w.lifetime(); got != 61 {
		t.Errorf("tokens are for %d seconds", got)
	}
	w.publish(bundleOf(t, ttlPolicy(62)))
	w.awaitLifetime(62)
	w.publish("<html>")
	w.awaitHealth("policy", "0")
	if got := w.lifetime(); got != 62 {
		t.Errorf("tokens are for %d seconds", got)
	}
	if n := len(w.kept()); n != 0 {
		t.Errorf("%d bundles are kept, and the file is one", n)
	}
}
