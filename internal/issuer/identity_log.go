package issuer

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/decisionlog"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// identityLog logs identities that stand for no client, so that an operator sees the subject that the registry should list. There
// is at most one line for each trusted issuer and reason in one failingInterval, because many workloads of a public issuer may
// ask. Their assertions are verified, so no stranger can fill it. The same holds for the lines in the decision log.
type identityLog struct {
	mu    sync.Mutex
	lines map[refusedIdentity]*identityLine
}

// refusedIdentity is what lines are about. There are as many as there are trusted issuers, times the reasons.
type refusedIdentity struct{ issuer, reason string }

type identityLine struct {
	last  time.Time
	count int // since then
}

// logIdentity logs an identity that is refused, and the decision on it with the reasons of the rules. The subject is only in the
// decision if the policy masks decisions.
func (c *call) logIdentity(in *policy.IdentityInput, d *policy.IdentityDecision, refusal *registry.Refusal) {
	s := c.issuer
	count := s.identities.due(refusedIdentity{in.Identity.Issuer, refusal.Reason}, c.start)
	if count == 0 {
		return
	}
	id, subject := token.NewID(), zap.Skip()
	if !s.Policy.Masks() {
		subject = zap.String("subject", in.Identity.Subject)
	}
	s.Logger.Warn("an identity is refused", zap.String("decision_id", id), zap.String("trusted_issuer", in.Identity.Issuer), subject,
		zap.String("reason", refusal.Reason), zap.String("client_id", refusal.ClientID), zap.Int("count", count))
	line := s.Decisions.Check(zap.InfoLevel, "identity decision")
	if line == nil {
		return
	}
	event := decisionlog.IdentityEvent(in, d)
	event.ID = id
	event.Add(zap.String("registry_revision", s.Registry.Revision()), zap.String("reason", refusal.Reason))
	if err := event.Write(c.http.Context(), line, s.Policy); err != nil {
		s.Metrics.Failed(err)
	}
}

// repeatedFault is a failure of which a like one was logged a moment ago.
type repeatedFault struct{ error }

func (f repeatedFault) Unwrap() error { return f.error }

// failed returns the failure of a decision on an identity, so that one of them is logged in one failingInterval: the claims that make a
// rule fail may be those of anyone whom the issuer knows.
func (l *identityLog) failed(t *TrustedIssuer, err error, now time.Time) error {
	if l.due(refusedIdentity{t.URL, policyFailed}, now) == 0 {
		return repeatedFault{err}
	}
	return err
}

// policyFailed stands for failures of the policy among the reasons.
const policyFailed = "policy failed"

// due counts a refusal, and returns how many a line is about, 0 if it is too early for one.
func (l *identityLog) due(what refusedIdentity, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.lines[what]
	if line == nil {
		if l.lines == nil {
			l.lines = make(map[refusedIdentity]*identityLine)
		}
		line = new(identityLine)
		l.lines[what] = line
	}
	line.count++
	if now.Sub(line.last) < failingInterval {
		return 0
	}
	count := line.count
	line.last, line.count = now, 0
	return count
}
