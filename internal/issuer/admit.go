package issuer

import (
	"math"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// The endpoints of clients, as labels of a metric.
const (
	tokenEndpoint         = "token"
	introspectionEndpoint = "introspection"
	revocationEndpoint    = "revocation"
)

// Reasons of refusals of clients beyond their limits.
const (
	rateLimit       = "rate_limit"
	concurrentLimit = "concurrent_limit"
)

// admit waits until the request of an authenticated client may begin its expensive work. The caller must leave the pass.
// It comes after authentication, so that a stranger cannot use up what a client may ask for.
func (c *call) admit(endpoint string, weight int) *oauth.Error {
	pass, refusal := c.issuer.Admission.Enter(c.http.Context(), admission.Request{
		Key:    admission.Key{Issuer: c.issuer.URL, Client: c.client.ID},
		Limits: c.issuer.limitsOf(c.client), Weight: weight,
	})
	if refusal == nil {
		c.pass = pass
		return nil
	}
	c.issuer.Metrics.NotAdmitted(endpoint, string(refusal.Reason))
	seconds := max(1, int(math.Ceil(refusal.RetryAfter.Seconds())))
	switch refusal.Reason {
	case admission.Rate:
		c.refuseClient(&registry.Refusal{Reason: rateLimit, ClientID: c.client.ID})
		return oauth.TooManyRequests(tooMany(endpoint), seconds)
	case admission.Concurrent:
		c.refuseClient(&registry.Refusal{Reason: concurrentLimit, ClientID: c.client.ID})
		return oauth.TooManyRequests("too many requests of this client are in progress", seconds)
	case admission.Crowded, admission.Waited:
		c.issuer.warnOfOverload()
	}
	return oauth.Overloaded(seconds)
}

func tooMany(endpoint string) string {
	if endpoint == tokenEndpoint {
		return "too many requests of this client; use a token until it expires instead of asking for a token each time"
	}
	return "too many requests of this client"
}

// limitsOf returns the limits of a client. Those in the registry replace those of the issuer.
func (s *Server) limitsOf(client *registry.Client) admission.Limits {
	limits, own := s.ClientLimits, client.Limits
	if own.RatePerSecond > 0 {
		limits.Rate, limits.Burst = own.RatePerSecond, registry.BurstOf(own.RatePerSecond)
	}
	if own.Burst > 0 {
		limits.Burst = own.Burst
	}
	if own.Concurrent > 0 {
		limits.Concurrent = own.Concurrent
	}
	return limits
}

// overloadInterval is the least time between two warnings about requests that are refused because the process has too much
// to do.
const overloadInterval = time.Minute

// overloads counts requests that are refused because the process has too much to do.
type overloads struct {
	count  atomic.Int64 // since the last warning
	warned atomic.Int64 // the time of the last warning
}

// warnOfOverload warns of such requests, once in overloadInterval.
func (s *Server) warnOfOverload() {
	s.overloads.count.Add(1)
	now, last := time.Now().UnixNano(), s.overloads.warned.Load()
	if now-last >= int64(overloadInterval) && s.overloads.warned.CompareAndSwap(last, now) {
		s.Logger.Warn("requests of clients are refused: this process cannot answer them in time",
			zap.Int64("count", s.overloads.count.Swap(0)), zap.Int("waiting", s.Admission.Waiting()))
	}
}
