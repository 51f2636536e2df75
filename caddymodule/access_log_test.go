package caddymodule_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestMaskedAccessLine: the line of a request with credentials has Caddy's form, is in the same log, and says what is masked.
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
