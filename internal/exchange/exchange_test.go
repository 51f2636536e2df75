package exchange_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/exchange"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

var now = time.Unix(1_800_000_000, 0).UTC()

// mint issues a token as an issuer does, and reads it again.
func mint(tb testing.TB, m token.Mint) *token.Claims {
	tb.Helper()
	m.Issuer, m.ID, m.IssuedAt = "https://auth.example.com", token.NewID(), now
	data, err := m.Claims()
	if err != nil {
		tb.Fatal(err)
	}
	claims, err := token.ReadMinted(data)
	if err != nil {
		tb.Fatal(err)
	}
	return claims
}

// world makes random clients, scopes and audiences. They are few, so that they often meet.
type world struct{ *rand.Rand }

func (w world) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w world) grants() (grants []scope.Grant) {
	for range 1 + w.IntN(4) {
		grants = append(grants, scope.Grant{
			Resource:    w.pick("*", "book", "book", "film"),
			Identifiers: []string{w.pick("*", "a*", "ab*", "a", "abc")},
			Actions:     []string{w.pick("*", "read", "edit")},
			Deny:        w.IntN(5) == 0,
		})
	}
	return grants
}

func (w world) scopes() (scopes []scope.Scope) {
	for range 1 + w.IntN(4) {
		s := scope.Scope{Resource: w.pick("*", "book", "film"), Identifier: w.pick("*", "a*", "ab", "abc"), Action: w.pick("*", "read", "edit")}
		s.Raw = s.String()
		scopes = append(scopes, s)
	}
	return scopes
}

// exchanged is the token of one exchange: what the issuer makes of a subject, for a presenter with these grants that wants
// these scopes for these audiences, or nil if nothing is granted.
func exchanged(tb testing.TB, s *exchange.Subject, presenter string, grants []scope.Grant, asked []scope.Scope, audiences []string, ttl time.Duration) *token.Claims {
	tb.Helper()
	index, list := scope.NewIndex(grants), ""
	for _, one := range asked {
		if index.Covers(one) && !index.Denies(one) && s.Covers(one) {
			list += " " + one.Raw
		}
	}
	audiences = slices.DeleteFunc(slices.Clone(audiences), func(a string) bool { return !s.HasAudience(a) })
	actor, err := s.By(presenter, presenter)
	if list == "" || len(audiences) == 0 || errors.Is(err, exchange.ErrTooManyActors) {
		return nil
	}
	return mint(tb, token.Mint{
		Subject: s.Client, ClientID: presenter, Audience: audiences, Scope: list[1:], TTL: s.TTL(ttl, now), Actor: actor.Claim(),
	})
}

// TestChainsNeverWiden: over random chains of exchanges, no token has a scope, an audience or a lifetime that the subject token
// or any earlier one does not have, nor a scope that the presenter may not have.
func TestChainsNeverWiden(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w, longest, narrower := world{rand.New(rand.NewPCG(seed, 0))}, 0, 0
	for range 3000 {
		audiences := []string{"https://a.example", "https://b.example", "https://c.example"}[:1+w.IntN(3)]
		list := ""
		for _, s := range w.scopes() {
			list += " " + s.Raw
		}
		chain := []*token.Claims{mint(t, token.Mint{ClientID: "origin", Audience: audiences, Scope: list[1:], TTL: time.Duration(1+w.IntN(600)) * time.Second})}
		for range 12 {
			last := chain[len(chain)-1]
			subject, err := exchange.OfToken(last)
			if err != nil {
				t.Fatal(err)
			}
			presenter, grants := fmt.Sprint("client-", w.IntN(4)), w.grants()
			asked := append(w.scopes(), last.Scopes...)
			if w.IntN(3) == 0 {
				if asked, err = subject.Common(grants, 100); err != nil {
					t.Fatal(err)
				}
			}
			next := exchanged(t, subject, presenter, grants, asked, []string{"https://a.example", "https://b.example", "https://c.example"}, time.Duration(1+w.IntN(600))*time.Second)
			if next == nil {
				break
			}
			checkWithin(t, next, chain, grants)
			if len(next.Scope) < len(last.Scope) {
				narrower++
			}
			chain = append(chain, next)
		}
		longest = max(longest, len(chain))
	}
	if longest < 5 || narrower < 100 {
		t.Errorf("the longest chain has %d tokens, %d are narrower: this tests little", longest, narrower)
	}
}

func checkWithin(t *testing.T, next *token.Claims, chain []*token.Claims, grants []scope.Grant) {
	t.Helper()
	for _, s := range next.Scopes {
		if !slices.ContainsFunc(grants, func(g scope.Grant) bool { return !g.Deny && g.Covers(s) }) ||
			slices.ContainsFunc(grants, func(g scope.Grant) bool { return g.Deny && g.Overlaps(s) }) {
			t.Fatalf("the presenter may not have %s of %+v", s, grants)
		}
		for _, before := range chain {
			if !slices.ContainsFunc(before.Scopes, func(b scope.Scope) bool { return b.Covers(s) }) {
				t.Fatalf("%s is not in %q", s, before.Scope)
			}
		}
	}
	for _, before := range chain {
		if next.Expires.After(before.Expires) || next.Subject != before.Subject {
			t.Fatalf("%+v\noutlives, or has another subject than,\n%+v", next, before)
		}
		for _, aud := range next.Audience {
			if !slices.Contains(before.Audience, aud) {
				t.Fatalf("%s is not in %q", aud, before.Audience)
			}
		}
	}
}

// TestCommonIsComplete: a request without a scope asks for all that a request could get.
func TestCommonIsComplete(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w, found := world{rand.New(rand.NewPCG(seed, 0))}, 0
	for range 20_000 {
		grants := w.grants()
		subject := exchange.OfClient("origin", w.grants(), nil, now.Add(time.Minute))
		common, err := subject.Common(grants, 100)
		if err != nil {
			t.Fatal(err)
		}
		index := scope.NewIndex(grants)
		for _, s := range w.scopes() {
			if !subject.Covers(s) || !index.Covers(s) {
				continue
			}
			found++
			if !slices.ContainsFunc(common, func(c scope.Scope) bool { return index.Covers(c) && c.Covers(s) }) {
				t.Fatalf("%s of %+v is in none of %v", s, grants, common)
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d scopes are common", found)
	}
}

func TestCommonIsBounded(t *testing.T) {
	grants := []scope.Grant{{Resource: "book", Actions: []string{"read"}}}
	for n := range 101 {
		grants[0].Identifiers = append(grants[0].Identifiers, fmt.Sprint(n))
	}
	subject := exchange.OfClient("origin", []scope.Grant{{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"*"}}}, nil, now)
	if _, err := subject.Common(grants, 100); !errors.Is(err, exchange.ErrTooMany) {
		t.Errorf("%v", err)
	}
	grants[0].Identifiers = grants[0].Identifiers[:99]
	if common, err := subject.Common(grants, 100); err != nil || len(common) != 100 {
		t.Errorf("%d scopes, %v", len(common), err)
	}
}

func TestSubjectOfClient(t *testing.T) {
	s := exchange.OfClient("ci-bot", []scope.Grant{
		{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"}},
		{Resource: "book", Identifiers: []string{"secret-*"}, Actions: []string{"*"}, Deny: true},
	}, []string{"https://a.example"}, now.Add(90*time.Second))
	for raw, want := range map[string]bool{"book:1:read": true, "book:secret-1:read": false, "book:read": false, "book:1:edit": false, "*": false} {
		asked, _ := scope.Parse(raw)
		if s.Covers(asked) != want {
			t.Errorf("%s: %v", raw, !want)
		}
	}
	if !s.HasAudience("https://a.example/") || s.HasAudience("https://b.example") {
		t.Error("audiences are not those of the client")
	}
	for at, want := range map[time.Duration]time.Duration{
		0: time.Minute, 31 * time.Second: 59 * time.Second, 89*time.Second + 999*time.Millisecond: time.Second, 90 * time.Second: 0,
	} {
		if got := s.TTL(time.Minute, now.Add(at)); got != want {
			t.Errorf("after %v: %v, want %v", at, got, want)
		}
	}
}

func TestActors(t *testing.T) {
	subject := func(actor map[string]any) *exchange.Subject {
		s, err := exchange.OfToken(mint(t, token.Mint{ClientID: "last", Subject: "origin", Audience: []string{"x"}, TTL: time.Minute, Actor: actor}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := map[string]any{"sub": "a", "client_id": "a"}
	for _, c := range []struct {
		act             map[string]any
		presenter, acts string
		want            string
	}{
		{nil, "origin", "origin", `null`},
		{nil, "a", "a", `{"client_id":"a","sub":"a"}`},
		{nil, "a", "robot", `{"client_id":"a","sub":"robot"}`},
		{nil, "origin", "robot", `{"client_id":"origin","sub":"robot"}`},
		{nil, "a", "origin", `{"client_id":"a","sub":"origin"}`},
		{a, "a", "a", `{"client_id":"a","sub":"a"}`}, // narrows what it got
		{a, "b", "b", `{"act":{"client_id":"a","sub":"a"},"client_id":"b","sub":"b"}`},
		{a, "b", "a", `{"act":{"client_id":"a","sub":"a"},"client_id":"b","sub":"a"}`},
		{a, "origin", "origin", `{"act":{"client_id":"a","sub":"a"},"client_id":"origin","sub":"origin"}`},
	} {
		actor, err := subject(c.act).By(c.presenter, c.acts)
		if got, _ := json.Marshal(actor.Claim()); err != nil || string(got) != c.want {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
	s, claim := subject(nil), map[string]any(nil)
	for n := range exchange.MaxActors {
		actor, err := s.By(fmt.Sprint(n), fmt.Sprint(n))
		if err != nil {
			t.Fatal(err)
		}
		claim = actor.Claim()
		s = subject(claim)
		if again, err := s.By(fmt.Sprint(n), fmt.Sprint(n)); err != nil || !reflect.DeepEqual(again.Claim(), claim) {
			t.Errorf("%+v, %v", again, err)
		}
	}
	if _, err := s.By("one more", "one more"); !errors.Is(err, exchange.ErrTooManyActors) {
		t.Errorf("after %d actors: %v", exchange.MaxActors, err)
	}
}

func TestForeignActClaim(t *testing.T) {
	deep := map[string]any{"sub": "a", "client_id": "a"}
	for range exchange.MaxActors {
		deep = map[string]any{"sub": "a", "client_id": "a", "act": deep}
	}
	for name, act := range map[string]any{
		"text": "a", "null": nil, "list": []any{}, "empty": map[string]any{}, "without client": map[string]any{"sub": "a"},
		"number": map[string]any{"sub": 1, "client_id": "a"}, "more": map[string]any{"sub": "a", "client_id": "a", "iss": "x"},
		"null within": map[string]any{"sub": "a", "client_id": "a", "act": nil}, "too deep": deep,
	} {
		if s, err := exchange.OfToken(&token.Claims{Subject: "origin", All: map[string]any{"act": act}}); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
