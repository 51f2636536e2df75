package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Issuer is an issuer that is not this plugin. It publishes metadata (RFC 8414) and keys, and signs what a test wants.
type Issuer struct {
	URL string

	t       testing.TB
	down    atomic.Bool
	fetches atomic.Int64
	mu      sync.Mutex
	keys    []*token.SigningKey // the last one signs
	publish http.HandlerFunc    // serves instead of the keys, unless nil
	revoked http.HandlerFunc    // serves the feed of revocations, unless nil
	named   map[string]any      // replaces or extends its metadata
}

// StartIssuer runs an issuer with one ES256 key until the test ends.
func StartIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.URL = server.URL
	i.Rotate()
	return i
}

// Rotate makes a new key, which signs from now on. The former ones stay published.
func (i *Issuer) Rotate() {
	i.t.Helper()
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
}

// SetDown sets whether every answer is a 500.
func (i *Issuer) SetDown(down bool) { i.down.Store(down) }

// Fetches returns the number of requests so far.
func (i *Issuer) Fetches() int64 { return i.fetches.Load() }

// ServeHTTP serves the metadata and the keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.fetches.Add(1)
	switch {
	case i.down.Load():
		http.Error(w, "down", http.StatusInternalServerError)
	case r.URL.Path == "/.well-known/oauth-authorization-server":
		metadata := map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/jwks", "token_endpoint": i.URL + "/token", "response_types_supported": []string{},
		}
		if i.feed() != nil {
			metadata["m2m_revocations_uri"] = i.URL + "/revocations"
		}
		i.mu.Lock()
		maps.Copy(metadata, i.named)
		i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(metadata)
	case r.URL.Path == "/revocations" && i.feed() != nil:
		i.feed()(w, r)
	case r.URL.Path == "/jwks":
		i.mu.Lock()
		publish := i.publish
		i.mu.Unlock()
		if publish != nil {
			publish(w, r)
			return
		}
		_, _ = w.Write(i.JWKS())
	default:
		http.NotFound(w, r)
	}
}

// Announce sets a member of the metadata.
func (i *Issuer) Announce(member string, value any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.named == nil {
		i.named = make(map[string]any)
	}
	i.named[member] = value
}

// JWKS returns the key set of all its keys.
func (i *Issuer) JWKS() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return token.NewKeySet(i.keys...).JWKS()
}

// Publish sets what answers instead of the keys. After nil the keys are served again.
func (i *Issuer) Publish(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.publish = answer
}

// PublishRevocations sets what serves the feed of revocations. Before, the issuer has none.
func (i *Issuer) PublishRevocations(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.revoked = answer
}

func (i *Issuer) feed() http.HandlerFunc {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.revoked
}

// signer returns the key that signs.
func (i *Issuer) signer() *token.SigningKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// State signs claims under a typ of their own.
func (i *Issuer) State(typ string, claims []byte) string {
	i.t.Helper()
	signed, err := i.signer().SignAs(typ, claims)
	if err != nil {
		i.t.Fatal(err)
	}
	return signed
}

// Key returns the private key that signs, and its kid.
func (i *Issuer) Key() (private *ecdsa.PrivateKey, kid string) {
	key := i.signer()
	var jwk struct{ D string }
	stored, err := key.MarshalPrivate()
	if err == nil {
		err = json.Unmarshal(stored, &jwk)
	}
	if err != nil {
		i.t.Fatal(err)
	}
	d, err := base64.RawURLEncoding.DecodeString(jwk.D)
	if err == nil {
		private, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return private, key.ID()
}

// Claims returns the claims of a valid access token (RFC 9068 §2.2) with changes, in which nil removes a claim.
func (i *Issuer) Claims(audience, scope string, changes map[string]any) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": i.URL, "sub": "demo", "client_id": "demo", "aud": audience, "jti": token.NewID(), "scope": scope,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// Sign signs claims as an access token, with changes to its header, in which nil removes a member. Fuzz targets may call it.
func (i *Issuer) Sign(claims, header map[string]any) string {
	private, kid := i.Key()
	unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	unsigned.Header["kid"], unsigned.Header["typ"] = kid, token.AccessTokenType
	maps.Copy(unsigned.Header, header)
	maps.DeleteFunc(unsigned.Header, func(_ string, value any) bool { return value == nil })
	signed, err := unsigned.SignedString(private)
	if err != nil {
		i.t.Fatal(err)
	}
	return signed
}
