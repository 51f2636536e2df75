package replay

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// Reasons of scopes that the issuer rejected after the policy, or did not ask it about.
const (
	// otherAudience rejects under any policy.
	otherAudience = "other_audience"
	// beyondSubject rejects what the subject of a token exchange does not have, unless the policy lets the exchange go beyond it.
	beyondSubject = "beyond_subject"
)

// decision is a logged decision that is made again.
type decision struct {
	*event
	line    position
	changes []change
	failure error // the candidate's
	kind    string
}

// change is one difference.
type change struct {
	kind                  Kind
	what                  string // the scope, claim or route
	reason, before, after string
}

func (d *decision) change(c change) { d.changes = append(d.changes, c) }

func (d *decision) fail(err error, kind string) {
	d.failure, d.kind = err, kind
	var fault *policy.Error
	if errors.As(err, &fault) {
		d.kind = string(fault.Kind)
	}
}

func (d *decision) replayToken(ctx context.Context, cfg *Config) {
	asked := d.token.Scopes
	if len(asked) == 0 {
		return // the issuer did not ask
	}
	now, err := cfg.Policy.DecideToken(ctx, *d.token)
	if err != nil {
		d.fail(err, "")
		return
	}
	now.Granted = slices.DeleteFunc(now.Granted, d.withheld(now))
	if len(now.Granted) > 0 && cfg.CheckClaims != nil {
		if err := cfg.CheckClaims(now.Claims); err != nil {
			d.fail(err, "claims")
			return
		}
	}
	reasons := make(map[string]string, len(now.Rejected))
	for _, r := range now.Rejected {
		reasons[r.Scope] = r.Reason
	}
	for _, s := range asked {
		had, has := slices.Contains(d.tokenResult.Granted, s.Raw), slices.Contains(now.Granted, s.Raw)
		switch {
		case had && !has:
			d.change(change{kind: Loses, what: s.Raw, reason: reasons[s.Raw]})
		case !had && has:
			d.change(change{kind: Gains, what: s.Raw})
		}
	}
	if len(d.tokenResult.Granted) > 0 && len(now.Granted) > 0 {
		d.compareToken(now)
	}
}

// withheld returns whether the issuer rejects a scope that the policy grants now.
func (d *decision) withheld(now policy.TokenDecision) func(raw string) bool {
	held := make(map[string]bool)
	for _, r := range d.tokenResult.Rejected {
		if r.Reason == beyondSubject {
			held[r.Scope] = true
		}
	}
	for _, w := range d.tokenResult.BeyondSubject {
		held[w.Scope] = true
	}
	for _, w := range now.BeyondSubject {
		delete(held, w.Scope)
	}
	for _, r := range d.tokenResult.Rejected {
		if r.Reason == otherAudience {
			held[r.Scope] = true
		}
	}
	return func(raw string) bool { return held[raw] }
}

// compareToken compares the claims and the lifetime of a token.
func (d *decision) compareToken(now policy.TokenDecision) {
	if !d.isMasked("/result/claims") {
		compareMembers(d, Claim, d.tokenResult.Claims, now.Claims)
	}
	if before, after := ttlText(d.tokenResult.TTL), ttlText(int64(now.TTL.Seconds())); before != after && !d.isMasked("/result/ttl") {
		d.change(change{kind: TTL, before: before, after: after})
	}
}

func (d *decision) replayRequest(ctx context.Context, cfg *Config) {
	now, err := cfg.Policy.DecideRequest(ctx, *d.request)
	if err != nil {
		d.fail(err, "")
		return
	}
	var required []scope.Scope
	for _, raw := range d.requestResult.Required {
		s, err := scope.Parse(raw)
		if err != nil {
			s = scope.Scope{Raw: raw} // no scope covers it
		}
		required = append(required, s)
	}
	had, _ := d.allowed(d.requestResult.Denied, required)
	has, reason := d.allowed(now.Denied, now.Required)
	route := d.request.Request.Route.Pattern
	if route == "" {
		route = d.request.Request.Method + " " + d.request.Request.Host
	}
	switch {
	case had && !has:
		d.change(change{kind: Denied, what: route, reason: reason})
	case !had && has:
		d.change(change{kind: Allowed, what: route})
	case has && !d.isMasked("/result/headers"):
		compareMembers(d, Header, d.requestResult.Headers, now.Headers)
	}
}

// allowed reports whether the request is let through, or why not.
func (d *decision) allowed(denied []string, required []scope.Scope) (bool, string) {
	if len(denied) > 0 {
		return false, denied[0]
	}
	for _, need := range required {
		if !slices.ContainsFunc(d.request.Token.Scopes, func(s scope.Scope) bool { return s.Covers(need) }) {
			return false, "needs " + need.Raw
		}
	}
	return true, ""
}

// compareMembers adds a change for each member that has another value now.
func compareMembers[T any](d *decision, kind Kind, then, now map[string]T) {
	all := make(map[string]T)
	maps.Copy(all, then)
	maps.Copy(all, now)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if before, after := textOf(then, name), textOf(now, name); before != after {
			d.change(change{kind: kind, what: name, before: before, after: after})
		}
	}
}

// textOf returns a member as JSON, or "" if there is none.
func textOf[T any](members map[string]T, name string) string {
	value, ok := members[name]
	if !ok {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "not JSON"
	}
	return string(text)
}
