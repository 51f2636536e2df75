package caddymodule_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// series are the plugin's time series, without their values and without buckets.
func (w *issuerWorld) series() []string {
	w.t.Helper()
	names := make(map[string]bool)
	for line := range strings.Lines(w.get(w.url + "/metrics").body) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if strings.HasPrefix(name, "caddy_m2m_") && !strings.Contains(name, "_bucket{") {
			names[name+"}"] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func TestMetricsCountTokenRequests(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "audience " + issuerAudience})
	wrong := "grant_type=client_credentials&client_id=demo&client_secret=" + registry.NewSecret()
	for result, requests := range map[string][]func() tokenAnswer{
		"granted":                {func() tokenAnswer { return w.ask("demo", "book:read") }, func() tokenAnswer { return w.ask("demo", "film:read") }},
		"partly_granted":         {func() tokenAnswer { return w.ask("demo", "book:read book:edit") }},
		"invalid_scope":          {func() tokenAnswer { return w.ask("demo", "book:edit") }, func() tokenAnswer { return w.ask("demo", "") }},
		"invalid_client":         {func() tokenAnswer { return w.post(wrong) }},
		"invalid_request":        {func() tokenAnswer { return w.post("") }, func() tokenAnswer { return w.get(w.tokenURL()) }},
		"unsupported_grant_type": {func() tokenAnswer { return w.post("grant_type=password") }},
		"invalid_target":         {func() tokenAnswer { return w.ask("demo", "book:read", "resource", "https://other.example.com") }},
	} {
		for _, request := range requests {
			request()
		}
		if got := w.metric("token_requests_total", fmt.Sprintf("result=%q", result)); got != fmt.Sprint(len(requests)) {
			t.Errorf("%s counts %s, want %d", result, got, len(requests))
		}
	}
	if !strings.Contains(w.get(w.url+"/metrics").body, fmt.Sprintf("caddy_m2m_token_request_duration_seconds_count{issuer=%q} 10", w.url)) {
		t.Error("durations are not observed")
	}
}

// TestMetricLabelsAreBounded: requests of strangers add no time series.
func TestMetricLabelsAreBounded(t *testing.T) {
	w := startIssuer(t, issuerSettings{site: "m2m_auth /books/* {\nrequire GET /books/{id} book:{id}:read\n}\nrespond /books/* ok"})
	stranger := func(n int) {
		name := fmt.Sprintf("stranger-%d", n)
		w.post("grant_type=" + name)
		w.post("grant_type=client_credentials&client_id=" + name + "&client_secret=" + name)
		w.ask("demo", name+":read")
		w.ask("demo", "book:"+name+":read", "resource", "https://"+name+".example.com")
		w.ask("demo", "book:"+name+":read")
		w.get(w.url+"/books/"+name, "Authorization", "Bearer "+name)
		w.about("introspect", name, name)
		w.about("revoke", "demo", name)
		w.get(w.url+"/"+name, "Authorization", "Bearer "+name+".a.b")
		w.do(w.request(fmt.Sprintf("BREW%d", n), w.tokenURL(), nil))
	}
	stranger(0)
	before := w.series()
	if len(before) < 10 {
		t.Fatalf("the series are %v", before)
	}
	for n := range 20 {
		stranger(n + 1)
	}
	if after := w.series(); !slices.Equal(after, before) {
		t.Errorf("the series were %v\nand are %v", before, after)
	}
	named := regexp.MustCompile(`^caddy_m2m_[a-z_]+\{(impure="[^"]*",|grant_type="[a-z_]+",)?issuer="[^"]+"(,(kind|method|reason|result|state)="[a-z_]+")*(,revision="[0-9a-f]{16}")?\}$`)
	for _, series := range before {
		if !named.MatchString(series) {
			t.Errorf("a series is %s", series)
		}
	}
}

// TestStorageAndAgesAreShown in the status and as metrics.
func TestStorageAndAgesAreShown(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startAdmin(t)
	number := func(text string) float64 {
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	value := func(name string) float64 {
		for line := range strings.Lines(string(w.want(200, "GET", "/metrics", "").body)) {
			if strings.HasPrefix(line, "caddy_m2m_"+name+"{") {
				return number(line[strings.LastIndexByte(line, ' '):])
			}
		}
		return -1
	}
	status := func(path ...any) string {
		return w.want(200, "GET", "/m2m/status", "").field(append([]any{"issuers", 0}, path...)...)
	}
	if status("storage", "reachable") != "true" || value("storage_reachable") != 1 || value("policy_info") != 1 {
		t.Errorf("at first: reachable %s %g, policy %g", status("storage", "reachable"), value("storage_reachable"), value("policy_info"))
	}
	if number(status("registry", "age_seconds")) > 5 || value("registry_age_seconds") > 5 {
		t.Errorf("the registry is %s s old, %g by the metrics", status("registry", "age_seconds"), value("registry_age_seconds"))
	}
	w.FailStorage("List")
	servertest.Eventually(t, "it is told", func() bool { return status("storage", "reachable") == "false" && value("storage_reachable") == 0 })
	if problem := status("storage", "problem"); !strings.Contains(problem, "the storage is unreachable") {
		t.Errorf("the problem is %s", problem)
	}
	w.FailStorage("Load")
	servertest.Eventually(t, "the registry ages", func() bool { age := value("registry_age_seconds"); return age > 3 && age < 30 })
	w.FailStorage("Store")
	w.want(503, "POST", "/m2m/resources", `{"code": "film", "actions": {"read": ""}}`)
	if value("storage_writable") != 0 || status("storage", "writable") != "false" {
		t.Errorf("after a write that failed: writable %g %s", value("storage_writable"), status("storage", "writable"))
	}
	w.FailStorage("")
	w.want(201, "POST", "/m2m/resources", `{"code": "film", "actions": {"read": ""}}`)
	servertest.Eventually(t, "all is well again", func() bool {
		return status("storage", "reachable") == "true" && value("storage_reachable") == 1 && value("storage_writable") == 1 && value("registry_age_seconds") < 3
	})
}

// TestMetricsStartAtZeroWithAConfig: each config has its own registry of metrics.
func TestMetricsStartAtZeroWithAConfig(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	w.granted(w.ask("demo", "book:read"))
	for range 3 {
		if err := w.Load(w.caddyfile()); err != nil {
			t.Fatal(err)
		}
	}
	w.granted(w.ask("demo", "book:read"))
	if got := w.metric("token_requests_total", `result="granted"`); got != "1" {
		t.Errorf("granted counts %s", got)
	}
	for _, kind := range []string{"registry", "policy"} {
		w.awaitHealth(kind, "1")
	}
}
