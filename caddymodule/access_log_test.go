package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestALineSaysOnceWhatIsMasked also if the request, the user and the plugin's fields contain credentials. Of two members
// with the same name, readers of JSON see one.
func TestALineSaysOnceWhatIsMasked(t *testing.T) {
	d := newDoorSite(t, doorSite("log {\noutput file "+filepath.Join(t.TempDir(), "access.log")+"\n}\nm2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\nreverse_proxy UPSTREAM"))
	secret := registry.NewSecret()
	for _, test := range []struct{ target, subject, want string }{
		{"/a?client_secret=hunter2", secret, "[/m2m_client_id /m2m_jti /request/uri /user_id]"},
		{"/a?client_secret=hunter2", "demo", "[/m2m_client_id /m2m_jti /request/uri]"},
		{"/a", secret, "[/m2m_client_id /m2m_jti /user_id]"},
		{"/a", "demo", "[/m2m_client_id /m2m_jti]"},
	} {
		before := len(d.LogLines("http.log.access.log0"))
		raw := d.issuer.Sign(d.issuer.Claims(doorAudience, "book:read", map[string]any{"client_id": secret, "sub": test.subject, "jti": secret}), nil)
		if a := d.ask(http.MethodGet, test.target, bearer(raw)); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		servertest.Eventually(t, "the request is logged", func() bool { return len(d.LogLines("http.log.access.log0")) == before+1 })
		masked, _ := d.LogLines("http.log.access.log0")[before]["masked"].([]any)
		slices.SortFunc(masked, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		if fmt.Sprint(masked) != test.want {
			t.Errorf("%s of %s: %v is masked", test.target, test.subject, masked)
		}
		for line := range strings.Lines(d.Log()) {
			if strings.Contains(line, `"handled request"`) && strings.Count(line, `"masked":`) != 1 {
				t.Errorf("the line is %s", line)
			}
		}
	}
}

func init() { caddy.RegisterModule(opaqueWriter{}) }

// opaqueWriter is a handler whose writer cannot be unwrapped.
type opaqueWriter struct{}

func (opaqueWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_opaque", New: func() caddy.Module { return new(opaqueWriter) }}
}

func (opaqueWriter) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
}

// TestNoWriterKeepsARequestOutOfTheAccessLog, not even one of another plugin that hides Caddy's recorder.
func TestNoWriterKeepsARequestOutOfTheAccessLog(t *testing.T) {
	d := newDoorSite(t, doorSite("log {\noutput file "+filepath.Join(t.TempDir(), "access.log")+"\n}\nm2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\nreverse_proxy UPSTREAM"))
	d.Change = func(config map[string]any) {
		text, _ := json.Marshal(config["apps"])
		changed := strings.Replace(string(text), `"handle":[{"audience"`, `"handle":[{"handler":"test_opaque"},{"audience"`, 1)
		config["apps"] = json.RawMessage(changed)
	}
	if err := d.Load(d.caddyfile); err != nil {
		t.Fatal(err)
	}
	d.ask(http.MethodGet, "/a?client_secret=hunter2", bearer(d.token("book:read")))
	servertest.Eventually(t, "the request is logged", func() bool { return len(d.LogLines("http.log.access.log0")) == 1 })
	line := d.LogLines("http.log.access.log0")[0]
	if request, _ := line["request"].(map[string]any); request["uri"] != "/a?client_secret=[secret]" || line["user_id"] != "demo" {
		t.Errorf("the line is %v", line)
	}
}

// TestMaskedAccessLine: the line of a request with credentials is like Caddy's own, in the same log, and says what is masked.
func TestMaskedAccessLine(t *testing.T) {
	d := newDoorSite(t, doorSite("log {\noutput file "+filepath.Join(t.TempDir(), "access.log")+"\n}\nlog_skip /skipped\nm2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\n"+
		"@down path /down\nreverse_proxy @down 127.0.0.1:1\nreverse_proxy UPSTREAM"))
	good := bearer(d.token("book:read"))
	with := func(name, value string) http.Header {
		header := good.Clone()
		header.Set(name, value)
		return header
	}
	for _, test := range []struct {
		target string
		header http.Header
		status int
		uri    string
		masked string
	}{
		{"/a?x=1", good, 200, "/a?x=1", ""},
		{"/a?client_secret=hunter2&x=1", good, 200, "/a?client_secret=[secret]&x=1", "[/request/uri]"},
		{"/a?Client%5fSecret=hunter2", nil, 401, "/a?Client%5fSecret=[secret]", "[/request/uri]"},
		{"/a?access_token=hunter2", good, 400, "/a?access_token=[token]", "[/request/uri]"},
		{"/a/b", with("X-Api-Key", "hunter2"), 200, "/a/b", "[/request/headers/X-Api-Key/0]"},
		{"/a/b", with("Referer", "https://example.com/?password=hunter2"), 200, "/a/b", "[/request/headers/Referer/0]"},
		{"/down?token=hunter2", good, 502, "/down?token=[token]", "[/request/uri]"},
	} {
		before := len(d.Log())
		if a := d.ask(http.MethodGet, test.target, test.header); a.status != test.status {
			t.Fatalf("%s: %d %s", test.target, a.status, a.body)
		}
		var lines []map[string]any
		servertest.Eventually(t, "the request is logged", func() bool {
			lines = slices.DeleteFunc(d.LogLines("http.log.access.log0"), func(line map[string]any) bool {
				request, _ := line["request"].(map[string]any)
				return request["uri"] != test.uri
			})
			return len(lines) > 0 && len(d.Log()) > before
		})
		line := lines[len(lines)-1]
		masked := ""
		if line["masked"] != nil {
			masked = fmt.Sprint(line["masked"])
		}
		if line["msg"] != "handled request" || line["status"] != float64(test.status) || masked != test.masked || line["resp_headers"] == nil || line["duration"] == nil {
			t.Errorf("%s: the line is %v", test.target, line)
		}
		request, _ := line["request"].(map[string]any)
		headers, _ := request["headers"].(map[string]any)
		if headers["X-Client-Id"] != nil || (headers["Authorization"] != nil) != (test.header != nil) {
			t.Errorf("%s: the headers are %v", test.target, headers)
		}
		if letThrough := test.status == 200 || test.status == 502; letThrough != (line["m2m_client_id"] == "demo") || letThrough != (line["user_id"] == "demo") {
			t.Errorf("%s: the line is %v", test.target, line)
		}
	}
	if errors := d.LogLines("http.log.error.log0"); len(errors) != 1 || errors[0]["status"] != 502.0 || fmt.Sprint(errors[0]["masked"]) != "[/request/uri]" {
		t.Errorf("the error log has %v", errors)
	}
	before := len(d.LogLines("http.log.access.log0"))
	d.ask(http.MethodGet, "/skipped?token=hunter2", good)
	d.ask(http.MethodGet, "/last", good)
	servertest.Eventually(t, "the last request is logged", func() bool { return len(d.LogLines("http.log.access.log0")) > before })
	if after := len(d.LogLines("http.log.access.log0")); after != before+1 {
		t.Errorf("%d lines of 1", after-before)
	}
}
