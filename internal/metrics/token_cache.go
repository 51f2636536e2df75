package metrics

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// tokenCacheCollector asks for the use of an issuer's token cache whenever metrics are collected.
type tokenCacheCollector struct {
	use           func() (verified, minted, bytes int)
	tokens, bytes *prometheus.Desc
}

// CollectTokenCache registers a function that reports the use of the token cache of an issuer.
func (s *Set) CollectTokenCache(issuer string, use func() (verified, minted, bytes int)) error {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, prometheus.Labels{"issuer": issuer})
	}
	var failed []error
	register(s.registry, &failed, &tokenCacheCollector{
		use:    use,
		tokens: desc("token_cache_tokens", "Tokens of an issuer that are remembered: verified by m2m_auth, or minted by this process and not used twice yet.", "kind"),
		bytes:  desc("token_cache_bytes", "Memory that the remembered tokens of an issuer take."),
	})
	return errors.Join(failed...)
}

// Describe implements prometheus.Collector.
func (c *tokenCacheCollector) Describe(to chan<- *prometheus.Desc) { to <- c.tokens; to <- c.bytes }

// Collect implements prometheus.Collector.
func (c *tokenCacheCollector) Collect(to chan<- prometheus.Metric) {
	verified, minted, bytes := c.use()
	to <- prometheus.MustNewConstMetric(c.tokens, prometheus.GaugeValue, float64(verified), "verified")
	to <- prometheus.MustNewConstMetric(c.tokens, prometheus.GaugeValue, float64(minted), "minted")
	to <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(bytes))
}
