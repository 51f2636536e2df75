package caddymodule

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// metrics are the plugin's, on the registry of one config. Labels are bounded: issuers and
// audiences are the config's, results are codes of this program.
type metrics struct {
	tokenRequests  *prometheus.CounterVec
	tokenDurations *prometheus.HistogramVec
	authRequests   *prometheus.CounterVec
	policyErrors   *prometheus.CounterVec
	reloads        *prometheus.CounterVec
	reloadHealthy  *prometheus.GaugeVec
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "caddy", Subsystem: "m2m", Name: name, Help: help}, labels)
	}
	m := &metrics{
		tokenRequests: counter("token_requests_total", "Token requests by outcome: granted, partly_granted or the OAuth error code.", "issuer", "result"),
		tokenDurations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "caddy", Subsystem: "m2m", Name: "token_request_duration_seconds",
			Help:    "Time from reading a token request to having answered it.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
		}, []string{"issuer"}),
		authRequests: counter("auth_requests_total", "Requests at m2m_auth by outcome: allowed or the reason of the refusal.", "issuer", "result"),
		policyErrors: counter("policy_errors_total", "Decisions that policy failed to make, by kind: eval, wrong_type, conflict, timeout, overloaded, canceled or not_ready.", "issuer", "kind"),
		reloads:      counter("reloads_total", "Changes of a registry or policy that were taken (ok) or refused (error).", "issuer", "kind", "result"),
		reloadHealthy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caddy", Subsystem: "m2m", Name: "reload_healthy",
			Help: "1 when the registry or policy in use is the one that was last seen, 0 when that one is broken.",
		}, []string{"issuer", "kind"}),
	}
	return m, registerAll(registry, &m.tokenRequests, &m.authRequests, &m.policyErrors, &m.reloads, &m.tokenDurations, &m.reloadHealthy)
}

// registerAll registers each collector, or takes the one that is registered already.
func registerAll(registry *prometheus.Registry, collectors ...any) error {
	for _, collector := range collectors {
		var err error
		switch c := collector.(type) {
		case **prometheus.CounterVec:
			*c, err = registerOrExisting(registry, *c)
		case **prometheus.HistogramVec:
			*c, err = registerOrExisting(registry, *c)
		case **prometheus.GaugeVec:
			*c, err = registerOrExisting(registry, *c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func registerOrExisting[C prometheus.Collector](registry *prometheus.Registry, c C) (C, error) {
	err := registry.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		return already.ExistingCollector.(C), nil
	}
	return c, err
}

// issuerMetrics are one issuer's.
type issuerMetrics struct {
	requests, policyErrors, reloads *prometheus.CounterVec
	duration                        prometheus.Observer
	healthy                         *prometheus.GaugeVec
}

func (m *metrics) forIssuer(url string) *issuerMetrics {
	issuer := prometheus.Labels{"issuer": url}
	own := &issuerMetrics{
		requests:     m.tokenRequests.MustCurryWith(issuer),
		policyErrors: m.policyErrors.MustCurryWith(issuer),
		reloads:      m.reloads.MustCurryWith(issuer),
		duration:     m.tokenDurations.With(issuer),
		healthy:      m.reloadHealthy.MustCurryWith(issuer),
	}
	own.setHealthy("registry", true)
	own.setHealthy("policy", true)
	return own
}

func (m *issuerMetrics) tokenRequest(result string, took time.Duration) {
	m.requests.WithLabelValues(result).Inc()
	m.duration.Observe(took.Seconds())
}

// failed counts a decision that policy failed to make; other faults are no matter of policy.
func (m *issuerMetrics) failed(err error) {
	var fault *policy.Error
	if errors.As(err, &fault) {
		m.policyErrors.WithLabelValues(string(fault.Kind)).Inc()
	}
}

func (m *issuerMetrics) reloaded(kind, result string) { m.reloads.WithLabelValues(kind, result).Inc() }

func (m *issuerMetrics) setHealthy(kind string, healthy bool) {
	value := 0.0
	if healthy {
		value = 1
	}
	m.healthy.WithLabelValues(kind).Set(value)
}

// authMetrics are those of the doors of one issuer.
type authMetrics struct {
	requests *prometheus.CounterVec
}

func (m *metrics) forAuth(issuer string) *authMetrics {
	return &authMetrics{requests: m.authRequests.MustCurryWith(prometheus.Labels{"issuer": issuer})}
}

func (m *authMetrics) request(result string) { m.requests.WithLabelValues(result).Inc() }
