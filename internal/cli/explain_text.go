package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// printExplanation prints each verdict, and the reasons below it.
func (s *session) printExplanation(x *api.Explanation) {
	if x.Identity == nil || x.Client != "" {
		s.printf("client %s at %s\n", printable(x.Client), x.Issuer)
	}
	if x.Identity != nil {
		s.printIdentity(x.Identity)
	}
	for _, r := range x.Refusals {
		s.printf("\nrefused   %s\n", printableLines(r.Description))
	}
	for _, v := range x.Scopes {
		s.printVerdict(v)
	}
	if x.TTL != nil && len(x.Audience) > 0 {
		s.printf("\ntoken     for %s\n", printable(strings.Join(x.Audience, " ")))
		s.line("valid for %s, by the %s%s", time.Duration(x.TTL.Seconds)*time.Second, x.TTL.From, placesOf(x.TTL.Causes))
		for _, c := range x.Claims {
			s.line("claim %s: %s%s", c.Name, compactJSON(c.Value), placesOf(c.Causes))
		}
	}
	for _, d := range x.Doors {
		s.printDoor(d)
	}
	if len(x.Notes) > 0 {
		s.printf("\n")
	}
	for _, note := range x.Notes {
		s.printf("note      %s\n", printable(note))
	}
	s.printTrace(x.Trace)
	s.printf("\n")
	for _, c := range x.Caching {
		s.printf("%s\n", printable(explainedCaching(c)))
	}
	s.printf("policy %s, registry %s\n", x.PolicyRevision, x.RegistryRevision)
}

// printIdentity prints what an assertion says, and as which client it may act.
func (s *session) printIdentity(x *api.IdentityExplanation) {
	verified := "verified"
	if !x.Verified {
		verified = "not verified: " + x.Problem
	}
	s.printf("\nidentity  %s\n", printable(verified))
	s.line("issuer %s", x.Issuer)
	s.line("subject %s", x.Subject)
	if x.Type != "" {
		s.line("type %s, key %s", x.Type, cmp.Or(x.KeyID, "unknown"))
	}
	for _, name := range slices.Sorted(maps.Keys(x.Claims)) {
		s.line("claim %s: %s", name, compactJSON(x.Claims[name]))
	}
	for _, c := range x.Clients {
		places := placesOf(c.Causes)
		if slices.Contains(x.Listed, c.Name) {
			places = " (the registry)" + places
		}
		s.line("may act as %s%s", c.Name, places)
	}
	s.printCauses(x.Denied)
}

func (s *session) printVerdict(v policy.ScopeExplanation) {
	if v.Granted {
		s.printf("\ngranted   %s\n", printable(v.Scope))
	} else {
		s.printf("\nrejected  %s: %s\n", printable(v.Scope), printable(v.Reason))
	}
	if v.Observed != "" {
		s.printf("observed  it would be rejected: %s\n", printable(v.Observed))
	}
	s.printCauses(v.Causes)
	for _, note := range v.Notes {
		s.line("%s", note)
	}
}

func (s *session) printCauses(causes []policy.Cause) {
	for _, c := range causes {
		if c.Reason != "" {
			s.line("%s %s: %s", causePlace(c), c.Rule, c.Reason)
		} else {
			s.line("%s %s", causePlace(c), c.Rule)
		}
	}
}

// proofTexts say what proves a key that a token is bound to.
var proofTexts = map[string]string{
	"dpop": "the scheme DPoP and a proof, because the token is bound to a key of the client",
	"mtls": "the client's certificate, to which the token is bound",
}

func (s *session) printDoor(d api.DoorExplanation) {
	verdict := "let through"
	if !d.LetThrough {
		verdict = fmt.Sprintf("refused with %d %s", d.Status, d.Reason)
	}
	s.printf("\ndoor %-4d %s\n", d.Door, verdict)
	s.line("m2m_auth for %s, with %d requirements", strings.Join(d.Audience, " "), d.Requirements)
	if d.Description != "" {
		s.line("%s", d.Description)
	}
	if d.Pattern != "" {
		s.line("the request matches %s", d.Pattern)
	}
	for _, r := range d.Required {
		if r.CoveredBy == "" {
			s.line("it needs %s, which nothing covers", r.Scope)
		} else {
			s.line("it needs %s, which %s covers", r.Scope, r.CoveredBy)
		}
	}
	for _, way := range d.Proofs {
		s.line("it needs %s", proofTexts[way])
	}
	if d.Policy == nil {
		return
	}
	if d.Observes {
		s.line("its policy observes only; it says:")
	}
	s.printCauses(d.Policy.Denied)
	s.printCauses(d.Policy.Observed)
	for _, v := range d.Policy.Required {
		s.printCauses(v.Causes)
	}
	for _, v := range d.Policy.Headers {
		s.line("header %s: %s%s", v.Name, compactJSON(v.Value), placesOf(v.Causes))
	}
	s.line("%s", explainedCaching(d.Policy.Caching))
	s.printTrace(d.Policy.Trace)
}

// explainedCaching is cachingText, with what the decision depends on.
func explainedCaching(c policy.Caching) string {
	if len(c.Reads) == 0 || !c.Cached {
		return cachingText(c)
	}
	return cachingText(c) + ", by " + strings.Join(c.Reads, " ")
}

func (s *session) printTrace(t *policy.Trace) {
	if t == nil {
		return
	}
	s.printf("\ntrace\n")
	for _, line := range t.Lines {
		s.printf("%s\n", printable(line))
	}
	if t.Cut {
		s.printf("… the trace is cut here\n")
	}
}

// line prints a line below a verdict.
func (s *session) line(format string, args ...any) {
	s.printf("          %s\n", printable(fmt.Sprintf(format, args...)))
}

// causePlace is the place of a rule, if it is known.
func causePlace(c policy.Cause) string {
	if c.File == "" {
		return "rule unknown"
	}
	return fmt.Sprintf("%s:%d", c.File, c.Line)
}

// placesOf is the list of the rules' places, in parentheses.
func placesOf(causes []policy.Cause) string {
	if len(causes) == 0 {
		return ""
	}
	var places []string
	for _, c := range causes {
		places = append(places, causePlace(c))
	}
	return " (" + strings.Join(places, ", ") + ")"
}
