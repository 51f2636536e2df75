package issuer

import (
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func TestLimitsOf(t *testing.T) {
	s := &Server{Config: Config{ClientLimits: admission.Limits{Rate: 100, Burst: 500, Concurrent: 50}}}
	for own, want := range map[registry.Limits]admission.Limits{
		{}:                               {Rate: 100, Burst: 500, Concurrent: 50},
		{RatePerSecond: 2}:               {Rate: 2, Burst: 20, Concurrent: 50}, // not the burst of a rate that the client does not have
		{RatePerSecond: 2, Burst: 3}:     {Rate: 2, Burst: 3, Concurrent: 50},
		{Burst: 7, Concurrent: 1}:        {Rate: 100, Burst: 7, Concurrent: 1},
		{RatePerSecond: 1e6, Burst: 1e6}: {Rate: 1e6, Burst: 1e6, Concurrent: 50},
	} {
		if limits := s.limitsOf(&registry.Client{Limits: own}); limits != want {
			t.Errorf("%+v: %+v, want %+v", own, limits, want)
		}
	}
}
