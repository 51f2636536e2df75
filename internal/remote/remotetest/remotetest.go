// Package remotetest has a fake remote issuer for tests.
package remotetest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// URL is the issuer's.
const URL = "https://auth.example.com"

// Issuer is an issuer with a feed of revocations. It is the transport of an HTTP client.
type Issuer struct {
	sync.Mutex
	T       *testing.T
	Key     *token.SigningKey
	Feed    map[string]any // claims of the feed, instead of or beside those of an empty one
	Answer  func() string  // instead of a signed feed
	Status  int            // instead of 200
	ETag    string
	Bare    bool     // there is no feed, and the keys are not available
	Queries []string // of the requests for the feed
	matched int      // answers of 304
}

// RoundTrip implements http.RoundTripper.
func (f *Issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	f.Lock()
	defer f.Unlock()
	status, header, body := http.StatusOK, make(http.Header), ""
	switch {
	case f.Bare && strings.HasSuffix(r.URL.Path, "/jwks"):
		status = http.StatusInternalServerError
	case f.Bare && !strings.HasSuffix(r.URL.Path, "/revocations"):
		body = `{"issuer":"` + URL + `","jwks_uri":"` + URL + `/jwks"}`
	case strings.HasSuffix(r.URL.Path, "/jwks"):
		header.Set("Cache-Control", "max-age=86400")
		body = string(token.NewKeySet(f.Key).JWKS())
	case strings.HasSuffix(r.URL.Path, "/revocations"):
		f.Queries = append(f.Queries, r.URL.RawQuery)
		if status, body = max(f.Status, http.StatusOK), f.Signed(); f.Answer != nil {
			body = f.Answer()
		}
		if header.Set("ETag", f.ETag); f.ETag != "" && r.Header.Get("If-None-Match") == f.ETag {
			f.matched++
			status, body = http.StatusNotModified, ""
		}
	default:
		body = `{"issuer":"` + URL + `","jwks_uri":"` + URL + `/jwks","m2m_revocations_uri":"` + URL + `/revocations"}`
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// Claims are those of a feed, with some changed.
func (f *Issuer) Claims(changes map[string]any) []byte {
	now := time.Now().Unix()
	all := map[string]any{"iss": URL, "iat": now, "as_of": now, "since": 0, "tokens": map[string]int64{}, "clients": map[string]any{}, "keys": map[string]int64{}}
	for _, some := range []map[string]any{f.Feed, changes} {
		for name, value := range some {
			all[name] = value
		}
	}
	claims, err := json.Marshal(all)
	if err != nil {
		f.T.Fatal(err)
	}
	return claims
}

// Change changes the answers from now on.
func (f *Issuer) Change(change func()) {
	f.Lock()
	defer f.Unlock()
	change()
}

// Asked returns the queries so far, and how many were answered with 304.
func (f *Issuer) Asked() (queries []string, matched int) {
	f.Lock()
	defer f.Unlock()
	return slices.Clone(f.Queries), f.matched
}

// Signed returns a signed feed.
func (f *Issuer) Signed() string { return f.State(f.Key, revocation.FeedType, nil) }

// State returns claims that are signed as of a type, with some changed.
func (f *Issuer) State(key *token.SigningKey, typ string, changes map[string]any) string {
	signed, err := key.SignAs(typ, f.Claims(changes))
	if err != nil {
		f.T.Fatal(err)
	}
	return signed
}

// RevokeKey revokes the key, and signs with a new one from now on.
func (f *Issuer) RevokeKey(until int64) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		f.T.Fatal(err)
	}
	f.Change(func() {
		f.Feed = map[string]any{"keys": map[string]int64{f.Key.ID(): until}}
		f.Key = key
	})
}

// DigestOf returns the digest by which a feed names a token or a client.
func DigestOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
