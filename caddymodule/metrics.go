package caddymodule

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// metrics are the plugin's, on the registry of one config. Labels are bounded: issuers and
// audiences are the config's, results are codes of this program.
type metrics struct {
	tokenRequests  *prometheus.CounterVec
	tokenDurations *prometheus.HistogramVec
	authRequests   *prometheus.CounterVec
	streamsClosed  *prometheus.CounterVec
	policyErrors   *prometheus.CounterVec
	observed       *prometheus.CounterVec
	reloads        *prometheus.CounterVec
	reloadHealthy  *prometheus.GaugeVec
	remoteKeysAge  *prometheus.GaugeVec
	remoteRevoked  *prometheus.GaugeVec
	introspections *prometheus.CounterVec
	revocations    *prometheus.CounterVec
	registry       *prometheus.Registry
	keys           *prometheus.GaugeVec
	keyAge         *prometheus.GaugeVec
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
		authRequests:  counter("auth_requests_total", "Requests at m2m_auth by outcome: allowed or the reason of the refusal.", "issuer", "result"),
		streamsClosed: counter("auth_streams_closed_total", "Requests that m2m_auth let through and closed before their end, by reason: expired, revoked or unknown.", "issuer", "reason"),
		policyErrors:  counter("policy_errors_total", "Decisions that policy failed to make, by kind: eval, wrong_type, conflict, timeout, overloaded, no_rule, not_ready or canceled.", "issuer", "kind"),
		observed:      counter("observed_total", "Decisions that policy on trial would have made otherwise, on a token or on a request.", "issuer", "kind"),
		reloads:       counter("reloads_total", "Changes of a registry, policy or keys that were taken (ok) or refused (error).", "issuer", "kind", "result"),
		reloadHealthy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caddy", Subsystem: "m2m", Name: "reload_healthy",
			Help: "1 when the registry, the policy, the keys, the revocations, or the keys or the revocations of a remote issuer, in use are those that were last seen, 0 when these are broken or cannot be had.",
		}, []string{"issuer", "kind"}),
		remoteKeysAge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caddy", Subsystem: "m2m", Name: "remote_keys_age_seconds",
			Help: "Time since a remote issuer last gave or confirmed its keys.",
		}, []string{"issuer"}),
		remoteRevoked: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caddy", Subsystem: "m2m", Name: "remote_revocations_age_seconds",
			Help: "How long ago the moment was as of which it is known here what a remote issuer has revoked.",
		}, []string{"issuer"}),
		keys: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caddy", Subsystem: "m2m", Name: "keys", Help: "Signing keys by state: next, active, retired or revoked.",
		}, []string{"issuer", "state"}),
		keyAge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "caddy", Subsystem: "m2m", Name: "active_key_age_seconds", Help: "Time since the active key began to sign.",
		}, []string{"issuer"}),
		introspections: counter("introspections_total", "Introspections by outcome: active, inactive or the OAuth error code.", "issuer", "result"),
		revocations:    counter("revocations_total", "Requests for revocation by outcome: revoked, ignored or the OAuth error code.", "issuer", "result"),
		registry:       registry,
	}
	return m, registerAll(registry, &m.introspections, &m.revocations, &m.tokenRequests, &m.authRequests, &m.streamsClosed, &m.policyErrors, &m.observed, &m.reloads, &m.tokenDurations, &m.reloadHealthy, &m.remoteKeysAge, &m.remoteRevoked, &m.keys, &m.keyAge)
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

// reloadMetrics are those of what may change while the server runs.
type reloadMetrics struct {
	reloads *prometheus.CounterVec
	healthy *prometheus.GaugeVec
}

func (m *metrics) forReloads(issuer prometheus.Labels) *reloadMetrics {
	return &reloadMetrics{m.reloads.MustCurryWith(issuer), m.reloadHealthy.MustCurryWith(issuer)}
}

func (m *reloadMetrics) reloaded(kind, result string) { m.reloads.WithLabelValues(kind, result).Inc() }

func (m *reloadMetrics) setHealthy(kind string, healthy bool) {
	value := 0.0
	if healthy {
		value = 1
	}
	m.healthy.WithLabelValues(kind).Set(value)
}

// remoteKeys tells of the keys of a remote issuer. Before there are any they have no age.
func (m *metrics) remoteKeys(issuer string, s discovery.Status) {
	m.forReloads(prometheus.Labels{"issuer": issuer}).setHealthy("remote_keys", s.Err == nil)
	if !s.Fetched.IsZero() {
		m.remoteKeysAge.WithLabelValues(issuer).Set(time.Since(s.Fetched).Seconds())
	}
}

// remoteRevocations tells of the revocations of a remote issuer that publishes them. Before any are known they have no
// age.
func (m *metrics) remoteRevocations(issuer string, r *remoteRevocations) {
	if !r.concerns() {
		return
	}
	m.forReloads(prometheus.Labels{"issuer": issuer}).setHealthy("remote_revocations", r.problem() == "")
	if age, known := r.age(); known {
		m.remoteRevoked.WithLabelValues(issuer).Set(age.Seconds())
	}
}

// policyMetrics are those of decisions.
type policyMetrics struct {
	errors   *prometheus.CounterVec
	observed prometheus.Counter
}

func (m *metrics) forPolicy(issuer prometheus.Labels, kind string) *policyMetrics {
	return &policyMetrics{m.policyErrors.MustCurryWith(issuer), m.observed.MustCurryWith(issuer).WithLabelValues(kind)}
}

// failed counts a decision that policy failed to make; other faults are no matter of policy.
func (m *policyMetrics) failed(err error) {
	var fault *policy.Error
	if errors.As(err, &fault) {
		m.errors.WithLabelValues(string(fault.Kind)).Inc()
	}
}

// issuerMetrics are one issuer's.
type issuerMetrics struct {
	*policyMetrics
	*reloadMetrics
	requests *prometheus.CounterVec
	duration prometheus.Observer

	introspections, revocations *prometheus.CounterVec
	keys                        *prometheus.GaugeVec
	keyAge                      prometheus.Gauge
}

func (m *metrics) forIssuer(url string) *issuerMetrics {
	issuer := prometheus.Labels{"issuer": url}
	own := &issuerMetrics{
		policyMetrics: m.forPolicy(issuer, "token"),
		reloadMetrics: m.forReloads(issuer),
		requests:      m.tokenRequests.MustCurryWith(issuer),
		duration:      m.tokenDurations.With(issuer),

		introspections: m.introspections.MustCurryWith(issuer),
		revocations:    m.revocations.MustCurryWith(issuer),
		keys:           m.keys.MustCurryWith(issuer),
		keyAge:         m.keyAge.With(issuer),
	}
	own.setHealthy("registry", true)
	own.setHealthy("policy", true)
	own.setHealthy("revocations", true)
	return own
}

func (m *issuerMetrics) tokenRequest(result string, took time.Duration) {
	m.requests.WithLabelValues(result).Inc()
	m.duration.Observe(took.Seconds())
}

// authMetrics are those of the doors of one issuer.
type authMetrics struct {
	*policyMetrics
	*reloadMetrics
	requests      *prometheus.CounterVec
	streamsClosed *prometheus.CounterVec
}

func (m *metrics) forAuth(url string) *authMetrics {
	issuer := prometheus.Labels{"issuer": url}
	return &authMetrics{
		m.forPolicy(issuer, "request"), m.forReloads(issuer), m.authRequests.MustCurryWith(issuer), m.streamsClosed.MustCurryWith(issuer),
	}
}

func (m *authMetrics) request(result string) { m.requests.WithLabelValues(result).Inc() }
