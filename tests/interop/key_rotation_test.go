package interop_test

import (
	"crypto/ecdsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// keyHolder signs with one of its keys.
type keyHolder struct {
	mu     sync.RWMutex
	jwks   []string // what it publishes
	signer heldKey
}

type heldKey struct {
	kid     string
	private *ecdsa.PrivateKey
}

func newKeyHolder(t *testing.T) *keyHolder {
	h := new(keyHolder)
	h.use(h.publish(t))
	return h
}

// published is its key set.
func (h *keyHolder) published() string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return `{"keys": [` + strings.Join(h.jwks, ", ") + `]}`
}

// publish adds a key, which does not sign yet.
func (h *keyHolder) publish(t *testing.T) heldKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := heldKey{fmt.Sprintf("key-%d", len(h.jwks)+1), newECKey(t)}
	h.jwks = append(h.jwks, publicJWK(t, key.private, key.kid))
	return key
}

// use signs with a key from now on.
func (h *keyHolder) use(key heldKey) (former heldKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	former, h.signer = h.signer, key
	return former
}

// withdraw publishes only the last key.
func (h *keyHolder) withdraw() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jwks = h.jwks[len(h.jwks)-1:]
}

func (h *keyHolder) current() heldKey {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.signer
}

func (k heldKey) sign(t *testing.T, claims jwt.MapClaims) string {
	unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	unsigned.Header["kid"] = k.kid
	signed, err := unsigned.SignedString(k.private)
	if err != nil {
		t.Error(err)
	}
	return signed
}

// TestKeysRotateUnderLoad changes the keys of a client in the registry file, of a client with a jwks_uri and of a trusted issuer,
// while each of them asks for tokens. As in RFC 7517 §5, a key is published before it signs. Every request gets its token.
func TestKeysRotateUnderLoad(t *testing.T) {
	servertest.SkipUnlessLong(t)
	inFile, atURI, platform := newKeyHolder(t), newKeyHolder(t), newKeyHolder(t)
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/client" {
			fmt.Fprint(w, atURI.published())
			return
		}
		fmt.Fprint(w, platform.published())
	}))
	defer published.Close()
	issuer, folder := servertest.FreeURL(t), t.TempDir()
	writeRegistry := func() {
		text := fmt.Sprintf(`resources:
  book:
    actions: {read: Read a book}
clients:
  in-file:
    jwks: %s
%s  at-uri:
    jwks_uri: %s/client
%[2]s  workload:
    identities: [{issuer: %[3]s, subject: job}]
%[2]s`, inFile.published(), bookGrant, published.URL)
		path := servertest.WriteFile(t, folder, "registry.new", text)
		if err := os.Rename(path, filepath.Join(folder, "registry.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	writeRegistry()
	s := servertest.Start(t, fmt.Sprintf(`{
	m2m {
		issuer %s {
			registry file %s/registry.yaml
			trust %s {
				jwks_uri %[3]s/platform
			}
		}
	}
}
%[1]s {
	m2m_issuer
}
`, issuer, folder, published.URL))
	a := &assertions{Server: s, t: t, issuer: issuer}

	holders := []struct {
		*keyHolder
		iss, sub string
	}{{inFile, "in-file", "in-file"}, {atURI, "at-uri", "at-uri"}, {platform, published.URL, "job"}}
	ask := func(key heldKey, iss, sub string) (int, string) {
		response, err := http.PostForm(issuer+"/oauth2/token", url.Values{
			"grant_type": {"client_credentials"}, "scope": {"book:*:read"}, "client_assertion_type": {jwtBearer},
			"client_assertion": {key.sign(t, a.claims(sub, map[string]any{"iss": iss}))},
		})
		if err != nil {
			return 0, err.Error()
		}
		return response.StatusCode, servertest.Body(t, response)
	}
	stop := make(chan struct{})
	var load, rotations sync.WaitGroup
	var answers, wrong atomic.Int64
	for _, h := range holders {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, body := ask(h.current(), h.iss, h.sub); status != http.StatusOK && wrong.Add(1) < 5 {
					t.Errorf("%s: %d %s", h.sub, status, body)
				}
				answers.Add(1)
			}
		})
		rotations.Go(func() {
			next := h.publish(t)
			if h.keyHolder == inFile {
				writeRegistry()
			}
			for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
				if status, _ := ask(next, h.iss, h.sub); status == http.StatusOK {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("%s: the new key does not work", h.sub)
					return
				}
			}
			former := h.use(next)
			h.withdraw()
			if h.keyHolder != inFile {
				return
			}
			writeRegistry()
			servertest.Eventually(t, "the former key is refused", func() bool {
				status, _ := ask(former, h.iss, h.sub)
				return status == http.StatusUnauthorized
			})
		})
	}
	rotations.Wait()
	close(stop)
	load.Wait()
	t.Logf("%d answers, %d wrong", answers.Load(), wrong.Load())
}
