package metrics_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// values returns the value of each series with one sample, by its name and labels.
func values(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += fmt.Sprintf(" %s=%s", label.GetName(), label.GetValue())
			}
			all[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return all
}

// TestSetsShareARegistry: a second Set counts with the metrics of the first.
func TestSetsShareARegistry(t *testing.T) {
	registry := prometheus.NewRegistry()
	for range 2 {
		set, err := metrics.New(registry)
		if err != nil {
			t.Fatal(err)
		}
		door := set.Door("https://a")
		door.Request("allowed")
		door.Failed(&policy.Error{Kind: policy.Timeout})
		door.Failed(fmt.Errorf("not of policy"))
		set.RemoteKeys("https://b", false, time.Time{})
	}
	got := values(t, registry)
	for name, want := range map[string]float64{
		"caddy_m2m_auth_requests_total issuer=https://a result=allowed": 2,
		"caddy_m2m_policy_errors_total issuer=https://a kind=timeout":   2,
		"caddy_m2m_reload_healthy issuer=https://b kind=remote_keys":    0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %g, %t; want %g", name, value, ok, want)
		}
	}
	if _, ok := got["caddy_m2m_remote_keys_age_seconds issuer=https://b"]; ok {
		t.Error("keys that were never fetched have an age")
	}
}

// TestCollectState reads the state of an issuer whenever metrics are collected.
func TestCollectState(t *testing.T) {
	registry := prometheus.NewRegistry()
	set, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	state := metrics.State{StorageReachable: true}
	if err := set.CollectState("https://a", func() metrics.State { return state }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []metrics.State{state, {StorageWritable: true, RegistryAge: time.Minute, PolicyRevision: "R1", Revocations: 7, RevocationsAge: time.Second}} {
		state = want
		got := values(t, registry)
		oneIf := map[bool]float64{true: 1}
		for name, value := range map[string]float64{
			"storage_reachable": oneIf[want.StorageReachable], "storage_writable": oneIf[want.StorageWritable],
			"registry_age_seconds": want.RegistryAge.Seconds(), "revocations": float64(want.Revocations), "revocations_age_seconds": want.RevocationsAge.Seconds(),
		} {
			if got["caddy_m2m_"+name+" issuer=https://a"] != value {
				t.Errorf("%s is %g, want %g", name, got["caddy_m2m_"+name+" issuer=https://a"], value)
			}
		}
		if revision := got["caddy_m2m_policy_info issuer=https://a revision=R1"]; revision != oneIf[want.PolicyRevision != ""] {
			t.Errorf("policy_info is %g", revision)
		}
	}
}

// TestCollectDecisions adds up the policies of an issuer, and never gives a series twice.
func TestCollectDecisions(t *testing.T) {
	registry := prometheus.NewRegistry()
	set, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	status := func(hits uint64, entries int, impure string) func() policy.CacheStatus {
		use := policy.CacheUse{Caching: policy.Caching{Kind: policy.RequestKind, Cached: impure == "", Impure: impure}, Hits: hits, Misses: 1, Impure: 2}
		return func() policy.CacheStatus {
			return policy.CacheStatus{Uses: []policy.CacheUse{use}, Entries: entries, Bytes: 100 * entries}
		}
	}
	set.CollectDecisions("https://a", status(3, 1, ""))
	set.Door("https://a").CollectDecisions(status(4, 2, ""))
	set.Door("https://a").CollectDecisions(status(0, 0, "a.rego:3: rule x calls time.now_ns"))
	got := values(t, registry)
	for name, want := range map[string]float64{
		"decision_cache_lookups_total issuer=https://a kind=request result=hit":                    7,
		"decision_cache_lookups_total issuer=https://a kind=request result=miss":                   3,
		"decision_cache_lookups_total issuer=https://a kind=request result=impure":                 6,
		"decisions_cached impure= issuer=https://a kind=request":                                   1,
		"decisions_cached impure=a.rego:3: rule x calls time.now_ns issuer=https://a kind=request": 0,
		"decision_cache_entries issuer=https://a":                                                  3,
		"decision_cache_bytes issuer=https://a":                                                    300,
	} {
		if value, ok := got["caddy_m2m_"+name]; !ok || value != want {
			t.Errorf("%s is %g, %t; want %g", name, value, ok, want)
		}
	}
}
