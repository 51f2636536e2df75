package caddymodule

import "github.com/prometheus/client_golang/prometheus"

// issuerState is what an issuer stands on, as metrics. It is asked for when somebody looks, so that ages grow while a look
// at the storage hangs.
type issuerState struct {
	issuer                                                              *issuerServer
	storage, writable, registryAge, policy, revocations, revocationsAge *prometheus.Desc
}

// watch has the state of an issuer shown.
func (m *metrics) watch(i *issuerServer) error {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("caddy", "m2m", name), help, labels, prometheus.Labels{"issuer": i.URL})
	}
	_, err := registerOrExisting(m.registry, &issuerState{
		issuer:         i,
		storage:        desc("storage_reachable", "1 when the last look at the storage worked, 0 when not."),
		writable:       desc("storage_writable", "1 when the last write to the storage worked, or there was none, 0 when not."),
		registryAge:    desc("registry_age_seconds", "How long ago the registry was last seen to be as it is here."),
		policy:         desc("policy_info", "The revision of the policy in force, as a label; always 1.", "revision"),
		revocations:    desc("revocations", "Revocations in force."),
		revocationsAge: desc("revocations_age_seconds", "How long ago the revocations of other nodes were last looked for with success."),
	})
	return err
}

// Describe tells which metrics there are.
func (s *issuerState) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{s.storage, s.writable, s.registryAge, s.policy, s.revocations, s.revocationsAge} {
		to <- desc
	}
}

// Collect tells how they are.
func (s *issuerState) Collect(to chan<- prometheus.Metric) {
	tell := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	i := s.issuer
	storage := viewStorage(i)
	tell(s.storage, oneIf(storage.Reachable))
	tell(s.writable, oneIf(storage.Writable))
	tell(s.registryAge, i.registry.Age().Seconds())
	tell(s.revocations, float64(i.revocations.Set().Len()))
	tell(s.revocationsAge, i.revocations.Age().Seconds())
	if revision := i.policy.Revision(); revision != "" {
		tell(s.policy, 1, revision)
	}
}

func oneIf(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
