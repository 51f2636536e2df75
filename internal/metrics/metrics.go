// Package metrics holds the plugin's Prometheus metrics. New registers them for one config; Set.Issuer, Set.Door and the
// methods for remote issuers hand out those of one issuer. To add a metric, add a field to Set and describe it in New.
// Labels are bounded: issuers come from the config, and results and kinds are codes of this program. Apart from package
// policy, whose errors it counts by kind, it imports no other package of this module: callers pass plain values.
package metrics

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

const namespace, subsystem = "caddy", "m2m"

// Set is the metrics of one config.
type Set struct {
	tokenRequests  *prometheus.CounterVec
	tokensIssued   *prometheus.CounterVec
	tokenDurations *prometheus.HistogramVec
	refused        *prometheus.CounterVec
	authenticated  *prometheus.CounterVec
	notAdmitted    *prometheus.CounterVec
	slowed         *prometheus.CounterVec
	authRequests   *prometheus.CounterVec
	streamsClosed  *prometheus.CounterVec
	tokenLookups   *prometheus.CounterVec
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
	decisions      *decisionCollector
}

// New registers the metrics. If some are registered already, the new set shares them.
func New(registry *prometheus.Registry) (*Set, error) {
	var failed []error
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		opts := prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
		return register(registry, &failed, prometheus.NewCounterVec(opts, labels))
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		opts := prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
		return register(registry, &failed, prometheus.NewGaugeVec(opts, labels))
	}
	set := &Set{
		tokenRequests: counter("token_requests_total", "Token requests by outcome: granted, partly_granted or the OAuth error code.", "issuer", "result"),
		tokensIssued:  counter("tokens_issued_total", "Tokens that were issued, by grant type: client_credentials, jwt_bearer or token_exchange.", "issuer", "grant_type"),
		tokenDurations: register(registry, &failed, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "token_request_duration_seconds",
			Help:    "Time from reading a token request to having answered it.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
		}, []string{"issuer"})),
		refused:        counter("clients_refused_total", "Clients that were refused at an endpoint of the issuer, by reason: unknown_client, malformed_secret, wrong_secret, secret_expired, client_disabled, client_expired, source_network, rate_limit, concurrent_limit, bad_assertion, untrusted_issuer, unknown_identity, ambiguous_identity, identity_denied, wrong_certificate, certificate_not_verified, certificate_not_current, unusable_credentials, other_method, keys_unavailable, or assertion_ with why the assertion was refused.", "issuer", "reason"),
		authenticated:  counter("clients_authenticated_total", "Clients that authenticated at an endpoint of the issuer, by method: client_secret_basic, client_secret_post, private_key_jwt, federated_jwt, spiffe_jwt, tls_client_auth or self_signed_tls_client_auth.", "issuer", "method"),
		notAdmitted:    counter("requests_not_admitted_total", "Requests of authenticated clients that were refused before their work, by endpoint (token, introspection or revocation) and reason: rate, concurrent, crowded, waited or gone.", "issuer", "endpoint", "reason"),
		slowed:         counter("failed_authentications_slowed_total", "Failed authentications of clients whose answer was slowed down: delayed, or refused because too many answers waited.", "issuer", "answer"),
		authRequests:   counter("auth_requests_total", "Requests at m2m_auth by outcome: allowed or the reason of the refusal.", "issuer", "result"),
		streamsClosed:  counter("auth_streams_closed_total", "Requests that m2m_auth let through and closed before their end, by reason: expired, revoked or unknown.", "issuer", "reason"),
		tokenLookups:   counter("token_cache_lookups_total", "Tokens that m2m_auth verified, by what it knew of them: verified (before), minted (by this process, not used twice yet) or missed (nothing, so their signatures were checked).", "issuer", "result"),
		policyErrors:   counter("policy_errors_total", "Decisions that policy failed to make, by kind: eval, wrong_type, conflict, timeout, overloaded, no_rule, not_ready or canceled.", "issuer", "kind"),
		observed:       counter("observed_total", "Decisions on tokens or requests that a policy on trial would have made differently.", "issuer", "kind"),
		reloads:        counter("reloads_total", "Changes of a registry, policy or keys that were taken (ok) or refused (error).", "issuer", "kind", "result"),
		reloadHealthy:  gauge("reload_healthy", "1 when the registry, policy, keys or revocations of an issuer, or the keys or revocations of a remote issuer, are as they were last seen; 0 when what was last seen is broken or cannot be read.", "issuer", "kind"),
		remoteKeysAge:  gauge("remote_keys_age_seconds", "Time since a remote issuer last gave or confirmed its keys.", "issuer"),
		remoteRevoked:  gauge("remote_revocations_age_seconds", "Age of what is known about the revocations of a remote issuer.", "issuer"),
		introspections: counter("introspections_total", "Introspections by outcome: active, inactive or the OAuth error code.", "issuer", "result"),
		revocations:    counter("revocations_total", "Requests for revocation by outcome: revoked, ignored or the OAuth error code.", "issuer", "result"),
		decisions:      register(registry, &failed, newDecisionCollector()),
		registry:       registry,
		keys:           gauge("keys", "Signing keys by state: next, active, retired or revoked.", "issuer", "state"),
		keyAge:         gauge("active_key_age_seconds", "Time since the active key began to sign.", "issuer"),
	}
	return set, errors.Join(failed...)
}

// register registers a collector, or returns the equal one that is registered already.
func register[C prometheus.Collector](registry *prometheus.Registry, failed *[]error, c C) C {
	err := registry.Register(c)
	var already prometheus.AlreadyRegisteredError
	switch {
	case errors.As(err, &already):
		return already.ExistingCollector.(C)
	case err != nil:
		*failed = append(*failed, err)
	}
	return c
}

// Reloads are the metrics of what may change while the server runs.
type Reloads struct {
	reloads *prometheus.CounterVec
	healthy *prometheus.GaugeVec
}

func (s *Set) forReloads(issuer prometheus.Labels) *Reloads {
	return &Reloads{s.reloads.MustCurryWith(issuer), s.reloadHealthy.MustCurryWith(issuer)}
}

// Reloaded counts a change that was taken or refused.
func (r *Reloads) Reloaded(kind, result string) { r.reloads.WithLabelValues(kind, result).Inc() }

// SetHealthy shows whether what is in use is what was last seen.
func (r *Reloads) SetHealthy(kind string, healthy bool) {
	r.healthy.WithLabelValues(kind).Set(oneIf(healthy))
}

// RemoteKeys shows the state of a remote issuer's keys. The zero time means that there were none yet, and they have no age.
func (s *Set) RemoteKeys(issuer string, healthy bool, fetched time.Time) {
	s.remote(issuer, "remote_keys", healthy, s.remoteKeysAge, fetched)
}

// RemoteRevocations shows the state of a remote issuer's revocations. The zero time means that none are known yet, and
// they have no age.
func (s *Set) RemoteRevocations(issuer string, healthy bool, asOf time.Time) {
	s.remote(issuer, "remote_revocations", healthy, s.remoteRevoked, asOf)
}

func (s *Set) remote(issuer, kind string, healthy bool, age *prometheus.GaugeVec, since time.Time) {
	s.reloadHealthy.WithLabelValues(issuer, kind).Set(oneIf(healthy))
	if !since.IsZero() {
		age.WithLabelValues(issuer).Set(time.Since(since).Seconds())
	}
}

// Policy is the metrics of decisions.
type Policy struct {
	errors   *prometheus.CounterVec
	observed prometheus.Counter
}

func (s *Set) forPolicy(issuer prometheus.Labels, kind string) *Policy {
	return &Policy{s.policyErrors.MustCurryWith(issuer), s.observed.MustCurryWith(issuer).WithLabelValues(kind)}
}

// Failed counts a decision that policy failed to make. It ignores other errors.
func (p *Policy) Failed(err error) {
	var failure *policy.Error
	if errors.As(err, &failure) {
		p.errors.WithLabelValues(string(failure.Kind)).Inc()
	}
}

// Observed counts a decision that a policy on trial would have made differently.
func (p *Policy) Observed() { p.observed.Inc() }

// Door is the metrics of the doors of one issuer.
type Door struct {
	*Policy
	*Reloads
	requests      *prometheus.CounterVec
	allowed       func() prometheus.Counter
	streamsClosed *prometheus.CounterVec
	lookups       map[string]prometheus.Counter // by result

	// CollectDecisions is that of Set, for a policy of a door.
	CollectDecisions func(state func() policy.CacheStatus)
}

// Door returns the metrics of the doors of an issuer.
func (s *Set) Door(url string) *Door {
	issuer := prometheus.Labels{"issuer": url}
	door := &Door{
		Policy: s.forPolicy(issuer, "request"), Reloads: s.forReloads(issuer),
		requests: s.authRequests.MustCurryWith(issuer), streamsClosed: s.streamsClosed.MustCurryWith(issuer),
		allowed: sync.OnceValue(func() prometheus.Counter { return s.authRequests.WithLabelValues(url, "allowed") }),
		lookups: make(map[string]prometheus.Counter),

		CollectDecisions: func(state func() policy.CacheStatus) { s.CollectDecisions(url, state) },
	}
	if url == "" {
		return door // of a token whose issuer is not known
	}
	for _, result := range []string{"verified", "minted", "missed"} {
		door.lookups[result] = s.tokenLookups.WithLabelValues(url, result)
	}
	return door
}

// Allowed counts a request that is let through.
func (d *Door) Allowed() { d.allowed().Inc() }

// TokenLookup counts a verified token by what was known of it.
func (d *Door) TokenLookup(result string) { d.lookups[result].Inc() }

// Request counts a request by its outcome.
func (d *Door) Request(result string) { d.requests.WithLabelValues(result).Inc() }

// StreamClosed counts a request that was closed before its end.
func (d *Door) StreamClosed(reason string) { d.streamsClosed.WithLabelValues(reason).Inc() }

func oneIf(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
