package issuer

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/assertion"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// identityLog logs identities that stand for no client, so that an operator sees the subject that the registry should list. There
// is at most one line for each trusted issuer and reason in one failingInterval, because many workloads of a public issuer may
// ask. Their assertions are verified, so no stranger can fill it.
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

func (l *identityLog) refused(logger *zap.Logger, identity *assertion.Identity, refusal *registry.Refusal, now time.Time) {
	count := l.due(refusedIdentity{identity.Issuer, refusal.Reason}, now)
	if count == 0 {
		return
	}
	logger.Warn("an identity is refused", zap.String("trusted_issuer", identity.Issuer), zap.String("subject", identity.Subject),
		zap.String("reason", refusal.Reason), zap.String("client_id", refusal.ClientID), zap.Int("count", count))
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
