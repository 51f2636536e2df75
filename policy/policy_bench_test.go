package policy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// benchInput asks for n scopes of a client with that many grants, of which the last covers.
func benchInput(tb testing.TB, scopes, grants int) TokenInput {
	tb.Helper()
	in := TokenInput{
		Issuer:    "https://auth.example.com",
		Client:    &Client{ID: "ci-bot", Description: "Nightly import", Attributes: map[string]any{"team": "catalogue"}},
		Resources: map[string]*Resource{"book": {Actions: []string{"read", "edit"}}},
		Request:   TokenRequest{RemoteIP: "192.0.2.1", AuthMethod: "client_secret_basic"},
	}
	for i := range grants - 1 {
		in.Client.Grants = append(in.Client.Grants, scope.Grant{
			Resource: fmt.Sprintf("other%d", i), Identifiers: []string{"*"}, Actions: []string{"read"},
		})
	}
	in.Client.Grants = append(in.Client.Grants, scope.Grant{
		Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"},
	})
	for i := range scopes {
		s, err := scope.Parse(fmt.Sprintf("book:%d:read", i))
		if err != nil {
			tb.Fatal(err)
		}
		in.Scopes = append(in.Scopes, s)
	}
	return in
}

// signatureTime is what an ES256 signature takes here and now, which each decision is followed by.
// It makes figures of different machines comparable.
func signatureTime(b *testing.B) time.Duration {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	const n = 1000
	start := time.Now()
	for range n {
		if _, err := ecdsa.SignASN1(rand.Reader, key, make([]byte, sha256.Size)); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / n
}

// readsClock is a policy whose decisions are not remembered.
const readsClock = "package m2m.token\n\nttl contains 60 if time.now_ns() < 0\n"

// BenchmarkDecideToken measures the first decision about each version of a client, of the shipped policy and of one that
// reads the clock.
func BenchmarkDecideToken(b *testing.B) {
	dir := b.TempDir()
	put(b, filepath.Join(dir, "a.rego"), readsClock)
	for _, p := range []struct {
		name  string
		paths []string
	}{{"shipped", nil}, {"clock", []string{dir}}} {
		for _, c := range []struct{ scopes, grants int }{{1, 1}, {2, 1}, {20, 1}, {100, 1}, {1, 50}, {20, 50}, {100, 50}, {100, 200}} {
			b.Run(fmt.Sprintf("%s/scopes=%d/grants=%d", p.name, c.scopes, c.grants), func(b *testing.B) {
				e, err := Load(Config{Paths: p.paths, Timeout: time.Minute}) // on a busy machine a decision may take longer than by default
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(e.Close)
				in := benchInput(b, c.scopes, c.grants)
				grants := in.Client.Grants
				signature := signatureTime(b)
				b.ReportAllocs()
				for b.Loop() {
					in.Client = &Client{ID: "ci-bot", Grants: grants}
					d, err := e.DecideToken(b.Context(), in)
					if err != nil || len(d.Granted) != c.scopes {
						b.Fatal(d, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(signature), "signatures/op")
			})
		}
	}
}

// benchDenials asks for n scopes of a client that may do everything but what that many deny grants
// name. None of them overlaps, so every scope is compared with all of them.
func benchDenials(tb testing.TB, scopes, denials int, identifier string) TokenInput {
	tb.Helper()
	in := benchInput(tb, scopes, 1)
	for i := range denials {
		in.Client.Grants = append(in.Client.Grants, deny("book", fmt.Sprintf(identifier, i), "read"))
	}
	return in
}

func BenchmarkDecideTokenDenials(b *testing.B) {
	for _, c := range []struct{ name, identifier string }{{"literal", "secret-%d"}, {"prefix", "secret-%d-*"}} {
		b.Run(c.name+"/scopes=80/denials=100", func(b *testing.B) {
			e, err := Load(Config{Timeout: generous})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(e.Close)
			withoutCache(e)
			in := benchDenials(b, 80, 100, c.identifier)
			b.ReportAllocs()
			for b.Loop() {
				d, err := e.DecideToken(b.Context(), in)
				if err != nil || len(d.Granted) != 80 {
					b.Fatal(d, err)
				}
			}
		})
	}
}

// BenchmarkEvaluate evaluates all rules in Rego, the shipped ones included, as an explanation does.
func BenchmarkEvaluate(b *testing.B) {
	e, err := Load(Config{Timeout: time.Minute}) // on a busy machine a decision may take longer than by default
	if err != nil {
		b.Fatal(err)
	}
	s, in := e.current.Load(), benchInput(b, 1, 1)
	b.ReportAllocs()
	for b.Loop() {
		input, err := in.value()
		if err != nil {
			b.Fatal(err)
		}
		q := question[tokenAnswer]{snapshot: s, query: tokenQuery, input: input, known: in.known(input), decode: (*results).token}
		if a := evaluate(q, topdown.NewCancel()); a.err != nil {
			b.Fatal(a.err)
		}
	}
}

// largest are requests at the documented limits, in different shapes.
var largest = map[string]func(i int) scope.Grant{
	"one resource":  func(i int) scope.Grant { return allow("book", fmt.Sprintf("other-%d", i), "read") },
	"resources":     func(i int) scope.Grant { return allow(fmt.Sprintf("other%d", i), "*", "read") },
	"prefixes":      func(i int) scope.Grant { return allow("book", fmt.Sprintf("other-%d-*", i), "read") },
	"any resource":  func(i int) scope.Grant { return allow("*", fmt.Sprintf("other-%d-*", i), "*") },
	"denials":       func(i int) scope.Grant { return deny("book", fmt.Sprintf("other-%d", i), "read") },
	"prefix denied": func(i int) scope.Grant { return deny("*", fmt.Sprintf("other-%d-*", i), "*") },
	"lists": func(i int) scope.Grant {
		g := scope.Grant{Resource: "book", Deny: i%2 == 0}
		for j := range 50 {
			g.Identifiers = append(g.Identifiers, fmt.Sprintf("other-%d-%d", i, j), fmt.Sprintf("other-%d-%d-*", i, j))
			g.Actions = append(g.Actions, fmt.Sprintf("action-%d", j))
		}
		g.Actions = append(g.Actions, "read")
		return g
	},
}

// largestInput asks for 100 scopes of a client with 200 grants of a shape, of which only the last one covers.
func largestInput(tb testing.TB, shape string) TokenInput {
	tb.Helper()
	in := benchInput(tb, 100, 1)
	last := in.Client.Grants
	in.Client.Grants = nil
	for i := range 199 {
		in.Client.Grants = append(in.Client.Grants, largest[shape](i))
	}
	in.Client.Grants = append(in.Client.Grants, last...)
	return in
}

func BenchmarkLargest(b *testing.B) {
	for shape := range largest {
		b.Run(shape, func(b *testing.B) {
			e, err := Load(Config{Timeout: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(e.Close)
			in := largestInput(b, shape)
			b.ReportAllocs()
			for b.Loop() {
				client := Client{ID: in.Client.ID, Grants: in.Client.Grants}
				in.Client = &client // a new version each time
				if d, err := e.DecideToken(b.Context(), in); err != nil || len(d.Granted) != 100 {
					b.Fatal(d, err)
				}
			}
		})
	}
}

// BenchmarkHit is a decision from the cache.
func BenchmarkHit(b *testing.B) {
	e, err := Load(Config{Timeout: generous})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	in := benchInput(b, 2, 1)
	b.ReportAllocs()
	for b.Loop() {
		if d, err := e.DecideToken(b.Context(), in); err != nil || len(d.Granted) != 2 {
			b.Fatal(d, err)
		}
	}
}
