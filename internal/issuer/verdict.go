package issuer

import (
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// The reasons for rejecting a scope that the policy grants. The policy gives all other reasons.
const (
	// reasonOtherAudience is for a scope whose audience the token may not have.
	reasonOtherAudience = "other_audience"
	// reasonBeyondSubject is for a scope that the subject of a token exchange does not have, without a rule that lets the exchange
	// go beyond it.
	reasonBeyondSubject = "beyond_subject"
)

// verdict returns the policy's decision, within the limits that no policy can lift: a scope whose audience the token may
// not have is rejected, even if the policy grants it. Scopes that the policy was not asked about are among those.
func (t *tokenRequest) verdict(decided policy.TokenDecision) policy.TokenDecision {
	held := decided
	held.BeyondSubject = t.widenings(decided)
	if t.isWhole(decided) {
		held.Rejected = nil
		return held
	}
	reasons := make(map[string]string, len(decided.Rejected))
	for _, r := range decided.Rejected {
		reasons[r.Scope] = r.Reason
	}
	held.Granted, held.Rejected = nil, nil
	for _, s := range t.requested {
		reason, rejected := reasons[s.Raw]
		switch {
		case rejected:
			held.Rejected = append(held.Rejected, policy.Rejection{Scope: s.Raw, Reason: reason})
		case slices.Contains(decided.Granted, s.Raw) && t.hasAudience(s) && !t.mayHaveOfSubject(s, held.BeyondSubject):
			held.Rejected = append(held.Rejected, policy.Rejection{Scope: s.Raw, Reason: reasonBeyondSubject})
		case slices.Contains(decided.Granted, s.Raw) && t.hasAudience(s):
			held.Granted = append(held.Granted, s.Raw)
		default:
			held.Rejected = append(held.Rejected, policy.Rejection{Scope: s.Raw, Reason: reasonOtherAudience})
		}
	}
	return held
}

// isWhole reports whether the policy grants all that was requested, and the token may have it.
func (t *tokenRequest) isWhole(decided policy.TokenDecision) bool {
	if len(decided.Rejected) > 0 || len(decided.Granted) != len(t.requested) {
		return false
	}
	for i, s := range t.requested {
		if decided.Granted[i] != s.Raw || !t.hasAudience(s) || !t.mayHaveOfSubject(s, decided.BeyondSubject) {
			return false
		}
	}
	return true
}

// grantedScope returns the granted scopes in request order, once they are decided.
func (t *tokenRequest) grantedScope() string {
	if t.granted == "" {
		t.granted = listOf(t.decision.Granted, t.oauth.Scope)
	}
	return t.granted
}

// listOf returns a space-separated list of scopes: the requested one if that is the same, as it usually is.
func listOf(raws []string, requested string) string {
	rest, same := requested, true
	for i, raw := range raws {
		if i > 0 && same {
			rest, same = strings.CutPrefix(rest, " ")
		}
		if same {
			rest, same = strings.CutPrefix(rest, raw)
		}
	}
	if same && rest == "" {
		return requested
	}
	return strings.Join(raws, " ")
}

// rejectedScope returns the rejected scopes in request order. The default scopes are not among them, because the client has
// not requested them: a client that did not name a scope does not miss one.
func (t *tokenRequest) rejectedScope() string {
	if t.byDefault() || len(t.decision.Rejected) == 0 {
		return ""
	}
	raw := make([]string, len(t.decision.Rejected))
	for n, r := range t.decision.Rejected {
		raw[n] = r.Scope
	}
	return strings.Join(raw, " ")
}

// byDefault reports whether the policy chose the scopes, because the request names none.
func (t *tokenRequest) byDefault() bool { return t.oauth.Scope == "" }
