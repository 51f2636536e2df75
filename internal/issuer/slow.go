package issuer

import (
	"context"
	"math"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/slowdown"
)

// refuseSlowly refuses a client that is not authenticated. After some refusals of the same ID from the same network, the answer
// comes later, and if too many such answers wait, the caller gets another one at once, which tells it to wait. The delay comes
// after the credentials were checked, so that a client with right ones does not wait. It depends on the ID as it was sent, whether
// a client has it or not. An answer that takes a least time waits for the rest of it.
func (c *call) refuseSlowly(ctx context.Context, id string, refusal *registry.Refusal) *oauth.Error {
	if c.issuer.Failures == nil {
		c.refuseClient(refusal)
		return oauth.InvalidClient()
	}
	key := slowdown.Key{Issuer: c.issuer.URL, ClientID: id, Network: slowdown.NetworkOf(c.issuer.Host.ClientIP(c.http))}
	verdict, slowed := c.issuer.Failures.FailedFor(key, c.least-time.Since(c.start))
	c.slowed = slowed
	c.refuseClient(refusal)
	switch {
	case verdict.Refused:
		c.issuer.Metrics.Slowed("refused")
		return oauth.TooManyRequests("too many failed attempts to authenticate a client", int(math.Ceil(verdict.Delay.Seconds())))
	case verdict.Delay > 0:
		if slowed {
			c.issuer.Metrics.Slowed("delayed")
		}
		began := time.Now()
		c.issuer.Failures.Wait(ctx, key, verdict)
		c.waited = time.Since(began)
	}
	return oauth.InvalidClient()
}
