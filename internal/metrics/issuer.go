package metrics

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Issuer is the metrics of one issuer.
type Issuer struct {
	*Policy
	*Reloads
	requests       *prometheus.CounterVec
	issued         *prometheus.CounterVec
	refused        *prometheus.CounterVec
	authenticated  *prometheus.CounterVec
	notAdmitted    *prometheus.CounterVec
	slowed         *prometheus.CounterVec
	introspections *prometheus.CounterVec
	revocations    *prometheus.CounterVec
	duration       prometheus.Observer
	keys           *prometheus.GaugeVec
	keyAge         prometheus.Gauge
}

// Issuer returns the metrics of an issuer.
func (s *Set) Issuer(url string) *Issuer {
	issuer := prometheus.Labels{"issuer": url}
	own := &Issuer{
		Policy:         s.forPolicy(issuer, "token"),
		Reloads:        s.forReloads(issuer),
		introspections: s.introspections.MustCurryWith(issuer),
		revocations:    s.revocations.MustCurryWith(issuer),
		requests:       s.tokenRequests.MustCurryWith(issuer),
		issued:         s.tokensIssued.MustCurryWith(issuer),
		refused:        s.refused.MustCurryWith(issuer),
		authenticated:  s.authenticated.MustCurryWith(issuer),
		notAdmitted:    s.notAdmitted.MustCurryWith(issuer),
		slowed:         s.slowed.MustCurryWith(issuer),
		duration:       s.tokenDurations.With(issuer),
		keys:           s.keys.MustCurryWith(issuer),
		keyAge:         s.keyAge.With(issuer),
	}
	for _, kind := range []string{"registry", "policy", "keys", "revocations"} {
		own.SetHealthy(kind, true)
	}
	return own
}

// TokenRequest counts a token request by its outcome.
func (i *Issuer) TokenRequest(result string, took time.Duration) {
	i.requests.WithLabelValues(result).Inc()
	i.duration.Observe(took.Seconds())
}

// Issued counts a token by the grant type.
func (i *Issuer) Issued(grantType string) { i.issued.WithLabelValues(grantType).Inc() }

// Refused counts a client that is refused, by the reason.
func (i *Issuer) Refused(reason string) { i.refused.WithLabelValues(reason).Inc() }

// Authenticated counts a client that has authenticated, by the method.
func (i *Issuer) Authenticated(method string) { i.authenticated.WithLabelValues(method).Inc() }

// NotAdmitted counts a request of an authenticated client that is refused before its work.
func (i *Issuer) NotAdmitted(endpoint, reason string) {
	i.notAdmitted.WithLabelValues(endpoint, reason).Inc()
}

// Slowed counts a failed authentication whose answer is delayed or refused.
func (i *Issuer) Slowed(answer string) { i.slowed.WithLabelValues(answer).Inc() }

// Introspection counts an introspection by its outcome.
func (i *Issuer) Introspection(result string) { i.introspections.WithLabelValues(result).Inc() }

// Revocation counts a request for revocation by its outcome.
func (i *Issuer) Revocation(result string) { i.revocations.WithLabelValues(result).Inc() }

// Keys shows how many keys are in a state.
func (i *Issuer) Keys(state string, count int) { i.keys.WithLabelValues(state).Set(float64(count)) }

// ActiveKeyAge shows how long the active key has signed.
func (i *Issuer) ActiveKeyAge(age time.Duration) { i.keyAge.Set(max(0, age.Seconds())) }

// State is what an issuer depends on.
type State struct {
	StorageReachable bool
	StorageWritable  bool
	RegistryAge      time.Duration
	PolicyRevision   string // empty if no policy is in force
	Revocations      int
	RevocationsAge   time.Duration
}

// stateCollector asks for the state of an issuer whenever metrics are collected, so that ages grow even while a call to
// storage hangs.
type stateCollector struct {
	state                                                               func() State
	storage, writable, registryAge, policy, revocations, revocationsAge *prometheus.Desc
}

// CollectState registers a function that reports the state of an issuer.
func (s *Set) CollectState(issuer string, state func() State) error {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, prometheus.Labels{"issuer": issuer})
	}
	var failed []error
	register(s.registry, &failed, &stateCollector{
		state:          state,
		storage:        desc("storage_reachable", "1 when the last read of the storage worked, 0 when not."),
		writable:       desc("storage_writable", "1 when the last write to the storage worked, or there was none, 0 when not."),
		registryAge:    desc("registry_age_seconds", "Time since the registry was last confirmed to be up to date."),
		policy:         desc("policy_info", "The revision of the policy in force, as a label; always 1.", "revision"),
		revocations:    desc("revocations", "Revocations in force."),
		revocationsAge: desc("revocations_age_seconds", "Time since the revocations of other nodes were last read."),
	})
	return errors.Join(failed...)
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.storage, c.writable, c.registryAge, c.policy, c.revocations, c.revocationsAge} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(to chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	state := c.state()
	send(c.storage, oneIf(state.StorageReachable))
	send(c.writable, oneIf(state.StorageWritable))
	send(c.registryAge, state.RegistryAge.Seconds())
	send(c.revocations, float64(state.Revocations))
	send(c.revocationsAge, state.RevocationsAge.Seconds())
	if state.PolicyRevision != "" {
		send(c.policy, 1, state.PolicyRevision)
	}
}
