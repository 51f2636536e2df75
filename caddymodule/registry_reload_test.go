package caddymodule_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// grantedNow is the scope that a client gets for a request.
func (w *issuerWorld) grantedNow(client, scopes string) string {
	w.t.Helper()
	a := w.ask(client, scopes)
	if a.Scope == nil {
		return ""
	}
	return *a.Scope
}

// errorLines are the logged errors of the plugin so far.
func (w *issuerWorld) errorLines() []string {
	w.t.Helper()
	var lines []string
	for _, line := range w.LogLines("m2m") {
		if line["level"] == "error" {
			lines = append(lines, fmt.Sprint(line["msg"], ": ", line["error"]))
		}
	}
	return lines
}

// metric is the value of a metric of the issuer, labels but the issuer's given.
func (w *issuerWorld) metric(name, labels string) string {
	w.t.Helper()
	prefix := fmt.Sprintf("caddy_m2m_%s{issuer=%q,%s} ", name, w.url, labels)
	for line := range strings.Lines(w.get(w.url + "/metrics").body) {
		if value, ok := strings.CutPrefix(line, prefix); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (w *issuerWorld) awaitHealth(kind, value string) {
	w.t.Helper()
	servertest.Eventually(w.t, kind+" healthy is "+value, func() bool {
		return w.metric("reload_healthy", fmt.Sprintf("kind=%q", kind)) == value
	})
}

// edits is one file under a watching issuer, in three states.
type edits struct {
	kind, broken, place     string
	write                   func(content string)
	before, changed         string // contents
	granted, grantedChanged string // scopes, asked for book:read and book:edit
}

func TestEditsTakeEffectWithoutReload(t *testing.T) {
	const ask = "book:read book:edit"
	w := startIssuer(t, issuerSettings{policy: map[string]string{"freeze.rego": frozen("no-resource")}})
	for _, e := range []edits{
		{
			kind: "registry", write: w.writeRegistry, before: catalogue,
			broken: strings.Replace(catalogue, "clients:\n", "clientele:\n", 1), place: "registry.yaml:8:",
			changed: strings.Replace(catalogue, `book, identifiers: ["*"], actions: [read]`, `book, identifiers: ["*"], actions: [read, edit]`, 1),
			granted: "book:read", grantedChanged: ask,
		},
		{
			kind: "policy", write: func(content string) { w.writePolicy("freeze.rego", content) }, before: frozen("no-resource"),
			broken: frozen("no-resource") + "\nttl contains x\n", place: "freeze.rego:8:",
			changed: frozen("book"), granted: "book:read", grantedChanged: "",
		},
	} {
		t.Run(e.kind, func(t *testing.T) {
			w := w.in(t)
			e.write(e.changed)
			servertest.Eventually(t, "the change is seen", func() bool { return w.grantedNow("demo", ask) == e.grantedChanged })
			e.write(e.before)
			servertest.Eventually(t, "the change back is seen", func() bool { return w.grantedNow("demo", ask) == e.granted })
			w.breakAndMend(t, e)
		})
	}
}

// breakAndMend breaks the file: the former registry stays in force, and one line of the log says where the
// fault is. Mended it is healthy again, also with the very content that is being served.
func (w *issuerWorld) breakAndMend(t *testing.T, e edits) {
	for _, mended := range []struct{ content, granted string }{{e.before, e.granted}, {e.changed, e.grantedChanged}, {e.before, e.granted}} {
		known := len(w.errorLines())
		before := w.grantedNow("demo", "book:read book:edit")
		e.write(e.broken)
		w.awaitHealth(e.kind, "0")
		if got := w.grantedNow("demo", "book:read book:edit"); got != before {
			t.Errorf("while the %s is broken %q is granted, before %q", e.kind, got, before)
		}
		e.write(mended.content)
		w.awaitHealth(e.kind, "1")
		if got := w.grantedNow("demo", "book:read book:edit"); got != mended.granted {
			t.Errorf("with the %s mended %q is granted, want %q", e.kind, got, mended.granted)
		}
		lines := w.errorLines()[known:]
		if len(lines) != 1 || !strings.Contains(lines[0], e.place) {
			t.Errorf("the log has the errors %q, want one that names %s", lines, e.place)
		}
	}
}

// TestLostFileIsLikeABrokenOne: the former registry stays in force.
func TestLostFileIsLikeABrokenOne(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	servertest.Remove(t, w.dir, "registry.yaml")
	w.awaitHealth("registry", "0")
	if got := w.grantedNow("demo", "book:read"); got != "book:read" {
		t.Errorf("granted is %q", got)
	}
	w.writeRegistry(catalogue)
	w.awaitHealth("registry", "1")
	if lines := w.errorLines(); len(lines) != 1 {
		t.Errorf("the log has the errors %q", lines)
	}
	if !strings.Contains(w.Log(), "registry is healthy again") {
		t.Error("the log gives no all-clear")
	}
}

func TestScopesSupportedFollowTheRegistry(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	openID, server := wellKnown(w.url)
	for _, address := range []string{openID, server} {
		etag := w.get(address).header.Get("ETag")
		w.writeRegistry(strings.Replace(catalogue, "edit: Change a book", "edit: Change a book, burn: Burn a book", 1))
		servertest.Eventually(t, "the new action is listed", func() bool {
			return slices.Contains(w.metadata(address).Scopes, "book:*:burn")
		})
		if a := w.get(address, "If-None-Match", etag); a.status != http.StatusOK {
			t.Errorf("with the former ETag: %s", a)
		}
		w.writeRegistry(catalogue)
		servertest.Eventually(t, "the action is gone", func() bool {
			return !slices.Contains(w.metadata(address).Scopes, "book:*:burn")
		})
	}
}

func TestDisabledClientGetsNoMoreTokens(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	w.granted(w.ask("careful", "book:1:read"))
	w.writeRegistry(strings.Replace(catalogue, "  careful:\n", "  careful:\n    disabled: true\n", 1))
	servertest.Eventually(t, "the client is refused", func() bool { return w.ask("careful", "book:1:read").Error == "invalid_client" })
}

// frozen is a policy that rejects every scope of a resource.
func frozen(resource string) string {
	return "package m2m.token\n\nrejected contains {\"scope\": s.raw, \"reason\": \"frozen\"} if {\n\tsome s in input.scopes\n\ts.resource == \"" + resource + "\"\n}\n"
}
