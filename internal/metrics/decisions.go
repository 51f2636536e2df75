package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// decisionCollector asks policies how they use their caches whenever metrics are collected. It adds up the policies of an
// issuer: its own, and those of its doors.
type decisionCollector struct {
	lookups, cached, entries, bytes *prometheus.Desc

	mu      sync.Mutex
	sources []decisionSource
}

type decisionSource struct {
	issuer string
	state  func() policy.CacheStatus
}

func newDecisionCollector() *decisionCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, append([]string{"issuer"}, labels...), nil)
	}
	return &decisionCollector{
		lookups: desc("decision_cache_lookups_total", "Decisions of policies by kind (token, default_scopes or request) and result: hit, miss, or impure for those that are never cached.", "kind", "result"),
		cached:  desc("decisions_cached", "1 when decisions of a kind are cached, 0 when each is evaluated because of an impure call.", "kind", "impure"),
		entries: desc("decision_cache_entries", "Cached decisions."),
		bytes:   desc("decision_cache_bytes", "Memory that cached decisions take."),
	}
}

// CollectDecisions registers a function that reports how a policy of an issuer uses its cache.
func (s *Set) CollectDecisions(issuer string, state func() policy.CacheStatus) {
	s.decisions.mu.Lock()
	defer s.decisions.mu.Unlock()
	s.decisions.sources = append(s.decisions.sources, decisionSource{issuer, state})
}

// Describe implements prometheus.Collector.
func (c *decisionCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.lookups, c.cached, c.entries, c.bytes} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *decisionCollector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	sources := c.sources
	c.mu.Unlock()
	lookups, cached := make(map[[3]string]uint64), make(map[[3]string]float64)
	entries, bytes := make(map[string]int), make(map[string]int)
	for _, source := range sources {
		state := source.state()
		entries[source.issuer] += state.Entries
		bytes[source.issuer] += state.Bytes
		for _, use := range state.Uses {
			lookups[[3]string{source.issuer, use.Kind, "hit"}] += use.Hits
			lookups[[3]string{source.issuer, use.Kind, "miss"}] += use.Misses
			lookups[[3]string{source.issuer, use.Kind, "impure"}] += use.Impure
			cached[[3]string{source.issuer, use.Kind, use.Caching.Impure}] = oneIf(use.Cached)
		}
	}
	for labels, n := range lookups {
		to <- prometheus.MustNewConstMetric(c.lookups, prometheus.CounterValue, float64(n), labels[:]...)
	}
	for labels, value := range cached {
		to <- prometheus.MustNewConstMetric(c.cached, prometheus.GaugeValue, value, labels[:]...)
	}
	for issuer := range entries {
		to <- prometheus.MustNewConstMetric(c.entries, prometheus.GaugeValue, float64(entries[issuer]), issuer)
		to <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(bytes[issuer]), issuer)
	}
}
