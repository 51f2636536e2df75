package caddymodule_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

func TestRevocationsByAPI(t *testing.T) {
	w := startAdmin(t)
	w.book()
	soon := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	if a := w.want(201, "POST", "/m2m/revocations", `{"jti": "A", "expires": "`+soon+`"}`); a.field("jti") != "A" || a.field("expires") < soon || a.field("known_client") != "<nil>" {
		t.Errorf("answered %s", a.body)
	}
	w.want(201, "POST", "/m2m/revocations", `{"jti": "B"}`)
	for client, known := range map[string]string{"ci-bot": "true", "nobody": "false"} {
		if a := w.want(201, "POST", "/m2m/revocations", `{"client_id": "`+client+`"}`); a.field("client_id") != client || a.field("known_client") != known {
			t.Errorf("answered %s", a.body)
		}
	}
	var names []string
	for query := ""; ; {
		page := w.want(200, "GET", "/m2m/revocations?limit=3"+query, "")
		if page.field("count") != "4" {
			t.Errorf("a page is %s", page.body)
		}
		for n := 0; page.field("revocations", n) != "<nil>"; n++ {
			names = append(names, page.field("revocations", n, "client_id")+"|"+page.field("revocations", n, "jti"))
		}
		next := page.field("next")
		if next == "<nil>" {
			break
		}
		query = "&after=" + url.QueryEscape(next)
	}
	if want := []string{"ci-bot|<nil>", "nobody|<nil>", "<nil>|A", "<nil>|B"}; !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
	status := w.want(200, "GET", "/m2m/status", "")
	if status.field("issuers", 0, "revocations", "count") != "4" || status.field("issuers", 0, "revocations", "healthy") != "true" {
		t.Errorf("the status is %s", status.body)
	}
	lines := w.LogLines("m2m.audit")
	if last := lines[len(lines)-1]; last["kind"] != "revocation" || last["operation"] != "revocation.create" || last["before"] != nil || last["issuer"] != w.issuer {
		t.Errorf("the audit log ends with %v", last)
	}
}

func TestRevocationsByAPIRefused(t *testing.T) {
	w := startAdmin(t)
	secret := w.book()
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, body := range []string{
		`{}`, `{"jti": ""}`, `{"client_id": ""}`, `{"jti": "A", "client_id": "b"}`, `{"jti": 1}`, `{"jti": "A", "kid": "x"}`, `{"jti": null}`,
		`{"jti": "A\nB"}`, `{"jti": "` + strings.Repeat("x", 1025) + `"}`, `{"jti": "A", "before": "` + later + `"}`,
		`{"jti": "A", "expires": "2020-01-01T00:00:00Z"}`, `{"jti": "A", "expires": "2999-01-01T00:00:00Z"}`, `{"jti": "A", "expires": "soon"}`,
		`{"client_id": "b", "before": "` + later + `"}`, `{"client_id": "b", "before": null}`, `{"client_id": "b", "expires": "` + later + `"}`,
		`{"jti": "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"}`, `{"jti": "` + secret + `"}`,
	} {
		if a := w.call("POST", "/m2m/revocations", body); a.StatusCode != 400 || strings.Contains(string(a.body), "eyJ") || strings.Contains(string(a.body), secret) {
			t.Errorf("%s: %s %s", body, a.Status, a.body)
		}
	}
	w.want(400, "POST", "/m2m/revocations", `{"jti": "A"}`, "If-Match", "*")
	w.want(400, "GET", "/m2m/revocations?after=x", "")
	w.want(400, "GET", "/m2m/revocations?limit=0", "")
	if a := w.want(200, "GET", "/m2m/revocations", ""); a.field("count") != "0" {
		t.Errorf("there are %s", a.body)
	}
	w.FailStorage("Store")
	if a := w.want(503, "POST", "/m2m/revocations", `{"jti": "A"}`); a.Header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	w.FailStorage("List")
	servertest.Eventually(t, "the status says that it cannot look", func() bool {
		return w.want(200, "GET", "/m2m/status", "").field("issuers", 0, "revocations", "healthy") == "false"
	})
	w.FailStorage("")
}

// TestRevokeWithARegistryFile: revocations are in storage although the registry is a file.
func TestRevokeWithARegistryFile(t *testing.T) {
	file := servertest.WriteFile(t, t.TempDir(), "registry.yaml", "clients: {ci-bot: {}}\n")
	w := startAdmin(t, "registry file "+file)
	if a := w.want(http.StatusCreated, "POST", "/m2m/revocations", `{"client_id": "ci-bot"}`); a.field("known_client") != "true" {
		t.Errorf("answered %s", a.body)
	}
}
