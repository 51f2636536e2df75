package issuer

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

const (
	// failingLook is how often clients that are refused are logged.
	failingLook = time.Second
	// failingInterval is the least time between two lines about the same client and reason.
	failingInterval = time.Minute
	// maxFailingLines is how many lines there are in one failingInterval, and maxFailing how many clients wait for one.
	maxFailingLines = 20
	maxFailing      = 1000
)

// Reasons of refusals beside those of registry.Refusal.
const (
	// unusableCredentials are missing, malformed, or of a method that is not supported.
	unusableCredentials = "unusable_credentials"
	// sourceNetwork refuses a client that asks from another network than those in the registry.
	sourceNetwork = "source_network"
)

// failing counts the refusals of clients until they are logged, so that an operator finds a client that fails. Only clients of
// the registry are logged, because anyone can make up others. A request only counts, in the same way for each reason, and never
// writes, so that the time of an answer does not tell which clients exist.
type failing struct {
	mu      sync.Mutex
	waiting map[refused]tally
	logged  map[refused]time.Time // the last line
	others  int                   // refusals of clients that have no place to wait
	lines   int                   // in the interval that began at since
	since   time.Time
}

// refused is what lines are about. The client is "" if the registry does not have it.
type refused struct{ client, reason string }

// tally is what happened since the last line.
type tally struct {
	count  int
	slowed int    // of them, those whose answer was delayed or refused
	remote string // the last address
	path   string // the last endpoint
	cause  string // the last one, for the operator; "" if the reason says it all
}

// add counts a refusal.
func (f *failing) add(what refused, slowed bool, remote, path, cause string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		f.waiting = make(map[refused]tally)
	}
	t, ok := f.waiting[what]
	if !ok && len(f.waiting) >= maxFailing {
		if what.client != "" {
			f.others++
		}
		return
	}
	t.count++
	if slowed {
		t.slowed++
	}
	t.remote, t.path, t.cause = remote, path, cause
	f.waiting[what] = t
}

// due returns what is to be logged now, and how many refusals were not counted by client.
func (f *failing) due(now time.Time) (lines map[refused]tally, others int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.since) >= failingInterval {
		f.since, f.lines = now, 0
		others, f.others = f.others, 0
	}
	for what, last := range f.logged {
		if now.Sub(last) >= failingInterval {
			delete(f.logged, what)
		}
	}
	lines = make(map[refused]tally)
	for what, t := range f.waiting {
		if what.client == "" {
			delete(f.waiting, what)
			continue
		}
		if _, recent := f.logged[what]; recent || f.lines >= maxFailingLines {
			continue
		}
		if f.logged == nil {
			f.logged = make(map[refused]time.Time)
		}
		f.lines++
		f.logged[what], lines[what] = now, t
		delete(f.waiting, what)
	}
	return lines, others
}

// logFailing logs the clients of the registry that were refused.
func (s *Server) logFailing(now time.Time) {
	lines, others := s.failing.due(now)
	for what, t := range lines {
		fields := []zap.Field{
			zap.String("client_id", what.client), zap.String("reason", what.reason), zap.Int("count", t.count),
			zap.Int("slowed_down", t.slowed), zap.String("remote_ip", t.remote), zap.String("path", t.path),
		}
		if t.cause != "" {
			fields = append(fields, zap.String("error", t.cause))
		}
		s.Logger.Warn("a client is refused", fields...)
	}
	if others > 0 {
		s.Logger.Warn("more clients are refused than are logged", zap.Int("count", others))
	}
}

// refuseClient counts why a client is refused.
func (c *call) refuseClient(refusal *registry.Refusal) {
	c.refusal = refusal
	c.issuer.Metrics.Refused(refusal.Reason)
	c.issuer.failing.add(refused{refusal.ClientID, refusal.Reason}, c.slowed, c.issuer.Host.ClientIP(c.http), c.http.URL.Path, c.cause)
}

// reasonSourceNetwork is the reason by which the shipped rules reject scopes of a client that asks from another network.
const reasonSourceNetwork = "source network"

// noteNetwork counts a client that is in none of its networks, for which the shipped rules reject all scopes.
func (t *tokenRequest) noteNetwork() {
	for _, r := range t.decision.Rejected {
		if r.Reason == reasonSourceNetwork {
			t.refuseClient(&registry.Refusal{Reason: sourceNetwork, ClientID: t.client.ID})
			return
		}
	}
}
