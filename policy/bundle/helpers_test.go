package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

// pack makes a bundle of files, as tar does.
func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	return packEntries(t, func(w *tar.Writer) {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			entry(t, w, tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name]))}, files[name])
		}
	})
}

func packEntries(t testing.TB, write func(*tar.Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	gzipped := gzip.NewWriter(&out)
	w := tar.NewWriter(gzipped)
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gzipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func entry(t testing.TB, w *tar.Writer, header tar.Header, content string) {
	t.Helper()
	if err := w.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
}

// zipped is anything gzipped.
func zipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// repeated is a stream that unzips to a piece again and again: gzip streams can be strung together.
func repeated(t testing.TB, piece []byte, times int) []byte {
	t.Helper()
	return bytes.Repeat(zipped(t, piece), times)
}

// beginning is what tar writes of an entry before its content.
func beginning(t testing.TB, header tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := tar.NewWriter(&out).WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	const block = 512
	return append(out.Bytes(), make([]byte, (block-out.Len()%block)%block)...)
}

// ttlBundle is a policy with a revision of its own, in a bundle.
func ttlBundle(t testing.TB, revision string, seconds int) []byte {
	t.Helper()
	return pack(t, map[string]string{"/ttl.rego": ttlFile(seconds), "/.manifest": `{"revision": "` + revision + `"}`})
}

// signer signs bundles with a key of its own.
type signer struct{ private, public string }

func newSigner(t testing.TB) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer{encodePEM("PRIVATE KEY", private), publicPEM(t, &key.PublicKey)}
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func publicPEM(t testing.TB, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return encodePEM("PUBLIC KEY", der)
}

func (s signer) keys() []bundle.Key { return []bundle.Key{{ID: "ci", Material: s.public}} }

// sign makes a signed bundle of files. The signature does not cover the unlisted ones.
func (s signer) sign(t testing.TB, scope string, files, unlisted map[string]string) []byte {
	t.Helper()
	return signWith(t, s.private, "ES256", "ci", scope, files, unlisted)
}

func signWith(t testing.TB, key, alg, id, scope string, files, unlisted map[string]string) []byte {
	t.Helper()
	var infos []opa.FileInfo
	for name, content := range files {
		hasher, err := opa.NewSignatureHasher(opa.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		var value any = []byte(content)
		if opa.IsStructuredDoc(name) {
			if err := json.Unmarshal([]byte(content), &value); err != nil {
				t.Fatal(err)
			}
		}
		digest, err := hasher.HashFile(value)
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, opa.NewFile(strings.TrimPrefix(name, "/"), hex.EncodeToString(digest), string(opa.SHA256)))
	}
	claims := filepath.Join(t.TempDir(), "claims.json")
	write, err := json.Marshal(map[string]string{"scope": scope})
	if err != nil {
		t.Fatal(err)
	}
	put(t, claims, string(write))
	token, err := opa.GenerateSignedToken(infos, opa.NewSigningConfig(key, alg, claims), id)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := json.Marshal(map[string][]string{"signatures": {token}})
	if err != nil {
		t.Fatal(err)
	}
	all := maps.Clone(files)
	maps.Copy(all, unlisted)
	all["/.signatures.json"] = string(signature)
	return pack(t, all)
}

// bundleServer is a server whose answers a test chooses.
type bundleServer struct {
	*httptest.Server

	mu       sync.Mutex
	answer   http.HandlerFunc
	requests []*http.Request
}

func serveBundles(t testing.TB, answer http.HandlerFunc) *bundleServer {
	t.Helper()
	s := &bundleServer{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *bundleServer) set(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *bundleServer) asked() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// static serves one content under an ETag, as any static server does; "" is none.
func static(content []byte, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "bundle.tar.gz", time.Time{}, bytes.NewReader(content))
	}
}

// page returns an answer that is not a bundle.
func page(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// fastPace is for tests that wait for the next request, or for one that ends.
var fastPace = bundle.Pace{
	Floor: 5 * time.Millisecond, Answer: 20 * time.Second, Body: 20 * time.Second, Storage: 10 * time.Second,
	Restore: time.Millisecond,
}

func remoteConfig(location string, change func(*bundle.Config)) policy.Config {
	b := &bundle.Config{Location: location, PollMin: 5 * time.Millisecond, PollMax: 10 * time.Millisecond}
	*b.Pace() = fastPace
	if change != nil {
		change(b)
	}
	return policy.Config{Bundle: b, Timeout: generous}
}

// polled is an engine that polls until the test ends.
func polled(t *testing.T, location string, change func(*bundle.Config)) *policy.Engine {
	t.Helper()
	e := load(t, remoteConfig(location, change))
	start(t, e)
	return e
}

func start(t *testing.T, e *policy.Engine) context.CancelFunc {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	e.Start(ctx)
	return cancel
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// changes waits for a change, and fails on an error.
func changes(t *testing.T, e *policy.Engine) {
	t.Helper()
	eventually(t, "a bundle comes", func() bool {
		changed, err := e.Reload()
		if err != nil {
			t.Fatal(err)
		}
		return changed
	})
}

// refusal waits for an error.
func refused(t *testing.T, e *policy.Engine) error {
	t.Helper()
	var err error
	eventually(t, "a bundle is refused", func() bool {
		_, err = e.Reload()
		return err != nil
	})
	return err
}

// memoryStore is a BundleStore.
type memoryStore struct {
	mu     sync.Mutex
	object []byte
	stores int
	loads  int
	fail   error
}

func (m *memoryStore) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	if m.fail != nil {
		return nil, m.fail
	}
	if m.object == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(m.object), nil
}

func (m *memoryStore) Store(_ context.Context, object []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.stores++
	m.object = slices.Clone(object)
	return nil
}

func (m *memoryStore) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memoryStore) stored() ([]byte, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.object), m.stores
}
