package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/clientkeys"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/once"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// ofSnapshot is a registry of a file that never changes.
type ofSnapshot struct {
	Registry
	snapshot *registry.Snapshot
}

func (r ofSnapshot) AuthenticateBy(ctx context.Context, id string, proof registry.Proof, now time.Time) (*registry.Client, error) {
	return r.snapshot.AuthenticateBy(ctx, id, proof, now)
}

// keySource is what the jwks_uri of each client leads to.
type keySource map[string]func(context.Context) (*token.KeySet, error)

func (s keySource) KeySet(ctx context.Context, url string, _ clientkeys.Allowed, _ string) (*token.KeySet, error) {
	return s[url](ctx)
}

// assertionServer is a server whose clients have a key each.
func assertionServer(t testing.TB, s *Server, clients string) (*Server, *token.SigningKey) {
	t.Helper()
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := registry.Parse("registry.json", []byte(strings.ReplaceAll(clients, "KEYS", string(token.NewKeySet(key).JWKS()))))
	if err != nil {
		t.Fatal(err)
	}
	s.Registry, s.Used, s.inputs = ofSnapshot{snapshot: snapshot}, once.New(1<<10), newPolicyInputs()
	return s, key
}

func assertionOf(t testing.TB, key *token.SigningKey, client string, changes map[string]any) oauth.Credentials {
	t.Helper()
	now := time.Now()
	claims := map[string]any{"iss": client, "sub": client, "aud": "https://auth.example.com", "exp": now.Add(time.Minute).Unix(), "jti": token.NewID()}
	maps.Copy(claims, changes)
	data, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := key.SignAs("JWT", data)
	if err != nil {
		t.Fatal(err)
	}
	return oauth.Credentials{Method: oauth.ClientAssertion, AssertionType: oauth.AssertionTypeJWT, Assertion: signed}
}

// present authenticates, and returns the answer, "" if it succeeds, and how long that took.
func (s *Server) present(ctx context.Context, c oauth.Credentials, address string) (answer string, took time.Duration) {
	request := httptest.NewRequest(http.MethodPost, "/oauth2/token", nil)
	request.RemoteAddr = address
	began := time.Now()
	call := &call{issuer: s, http: request, start: began}
	refused := call.authenticate(ctx, c, func(_ string, err error) *oauth.Error { return oauth.Unavailable(err.Error()) })
	took = time.Since(began)
	if refused == nil {
		return "", took
	}
	w := httptest.NewRecorder()
	refused.Write(w)
	return fmt.Sprint(w.Code, w.Header(), w.Body), took
}

const assertionClients = `{"clients": {
	"known": {"jwks": KEYS}, "off": {"disabled": true, "jwks": KEYS}, "secret": {"secrets": []},
	"hangs": {"jwks_uri": "https://a.example/hangs"}, "fails": {"jwks_uri": "https://a.example/fails"}, "works": {"jwks_uri": "https://a.example/works"}}}`

// TestRefusedAssertionsTakeTheSameTime: whatever is wrong with the client or its keys, the answer is the same, and comes at the same
// moment. That of a right assertion comes at once.
func TestRefusedAssertionsTakeTheSameTime(t *testing.T) {
	stranger, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		server, _ := slowServer(t)
		s, key := assertionServer(t, server, assertionClients)
		s.ClientKeys = keySource{
			"https://a.example/works": func(context.Context) (*token.KeySet, error) { return token.NewKeySet(key), nil },
			"https://a.example/fails": func(context.Context) (*token.KeySet, error) { return nil, errors.New("no answer") },
			"https://a.example/hangs": func(ctx context.Context) (*token.KeySet, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}
		want, _ := s.present(t.Context(), assertionOf(t, key, "unknown", nil), "192.0.2.1")
		n := 0
		for client, by := range map[string]*token.SigningKey{
			"unknown": key, "known": stranger, "off": key, "secret": key, "hangs": key, "fails": key, "works": stranger, "not a client": key,
		} {
			n++
			answer, took := s.present(t.Context(), assertionOf(t, by, client, nil), fmt.Sprint("192.0.3.", n))
			if answer != want || took != keyFetchWait {
				t.Errorf("%s: after %s %s, want %s", client, took, answer, want)
			}
		}
		if cause := s.failing.waiting[refused{"fails", keysUnavailable}].cause; cause != "no answer" {
			t.Errorf("the operator sees the cause %q", cause)
		}
		for client := range map[string]bool{"unknown": true, "known": true, "off": true, "hangs": true} { // found without the client
			n++
			answer, took := s.present(t.Context(), assertionOf(t, key, client, map[string]any{"aud": "https://b.example"}), fmt.Sprint("192.0.3.", n))
			if answer != want || took != 0 {
				t.Errorf("%s, for another audience: after %s %s", client, took, answer)
			}
		}
		for range 3 { // many failures slow others down, and not those that are right
			go s.present(t.Context(), assertionOf(t, stranger, "known", nil), "192.0.2.7")
		}
		for _, client := range []string{"known", "works"} {
			if answer, took := s.present(t.Context(), assertionOf(t, key, client, nil), "192.0.2.7"); answer != "" || took != 0 {
				t.Errorf("%s: after %s %s", client, took, answer)
			}
		}
		synctest.Wait()
	})
}

// TestTooManyAssertions: a client beyond its share is told so, and no identifier is forgotten for it.
func TestTooManyAssertions(t *testing.T) {
	server, _ := slowServer(t)
	s, key := assertionServer(t, server, assertionClients)
	first := assertionOf(t, key, "known", nil)
	if answer, _ := s.present(t.Context(), first, "192.0.2.1"); answer != "" {
		t.Fatal(answer)
	}
	refused := ""
	for range 1 << 10 {
		if refused, _ = s.present(t.Context(), assertionOf(t, key, "known", nil), "192.0.2.1"); refused != "" {
			break
		}
	}
	if !strings.HasPrefix(refused, "429") || !strings.Contains(refused, "Retry-After") {
		t.Errorf("beyond the share: %s", refused)
	}
	if answer, _ := s.present(t.Context(), first, "192.0.2.1"); !strings.HasPrefix(answer, "401") {
		t.Errorf("a replay: %s", answer)
	}
}

// BenchmarkClientAuthentication compares a token request with an assertion to one with a secret, and to one check of a signature.
func BenchmarkClientAuthentication(b *testing.B) {
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("secret", func(b *testing.B) {
		s, secret := benchServer(b, token.ES256, "", io.Discard, 0)
		call, _ := tokenCall(b, s, secret)
		b.ReportAllocs()
		for b.Loop() {
			call()
		}
	})
	b.Run("assertion", func(b *testing.B) {
		s, secret := benchServer(b, token.ES256, "", io.Discard, 0)
		s.Used = once.New(1 << 22)
		client, err := s.Registry.Client(b.Context(), "demo")
		if err != nil {
			b.Fatal(err)
		}
		own, err := registry.Parse("r.json", []byte(`{"clients": {"demo": {"jwks": `+string(token.NewKeySet(key).JWKS())+`}}}`))
		if err != nil {
			b.Fatal(err)
		}
		parsed, err := own.Client(b.Context(), "demo")
		if err != nil {
			b.Fatal(err)
		}
		call, form := tokenCall(b, s, secret)
		client.Keys = parsed.Keys // before any request with an assertion
		form.Del("client_secret")
		form.Del("client_id")
		form.Set("client_assertion_type", oauth.AssertionTypeJWT)
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			form.Set("client_assertion", assertionOf(b, key, "demo", nil).Assertion)
			b.StartTimer()
			call()
		}
	})
	b.Run("one check", func(b *testing.B) {
		keys, raw := token.NewKeySet(key), assertionOf(b, key, "demo", nil).Assertion
		opened, err := token.OpenSigned(raw, len(raw))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, _, err := opened.Verify(keys, nil, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestKeyIDIsThumbprint: an assertion may name a key by its thumbprint, although the key has a kid in the registry that the
// holder of the key alone does not know.
func TestKeyIDIsThumbprint(t *testing.T) {
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	jwks := strings.ReplaceAll(string(token.NewKeySet(key).JWKS()), key.ID(), "2026-11")
	s, _ := assertionServer(t, testServer(t), `{"clients":{"keyed":{"auth":"private_key_jwt","jwks":`+jwks+`}}}`)
	s.URL, s.Usage = "https://auth.example.com", store.NewUsage(nil, "")
	if answer, _ := s.present(t.Context(), assertionOf(t, key, "keyed", nil), "192.0.2.1:1"); answer != "" {
		t.Errorf("the answer is %s", answer)
	}
}
