// Package issuer serves the routes of one authorization server: token, keys, introspection, revocation, the feed of
// revocations and the metadata documents. New makes a Server from its parts, and Server.Routes is its entry point. The
// package imports keyring, decisionlog, reload, the types of admin/api, policy, the registry and leaves. It does not know Caddy.
package issuer

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/clientkeys"
	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/httphost"
	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/once"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/reload"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/slowdown"
	"github.com/caddy-m2m/caddy-m2m/internal/storage"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// Config is what an issuer is made of. A registry in storage is a *store.Store.
type Config struct {
	URL          string
	Audience     string
	SigningAlg   string
	TokenTTL     time.Duration // the longest
	RegistryPath string        // of the registry file, "" if the registry is in storage

	Logger    *zap.Logger
	Decisions *zap.Logger
	Metrics   *metrics.Issuer
	Audit     audit.Trail
	// Emit emits a Caddy event.
	Emit func(name string, data map[string]any)
	Host httphost.Host
	// Certificates finds the certificates of clients.
	Certificates clientcert.Reader
	// MTLSURL is the base of the routes at which clients present certificates (RFC 8705 §5), "" if it is URL.
	MTLSURL string

	Storage  *storage.Storage
	Registry Registry
	Usage    *store.Usage
	Policy   *policy.Engine
	Keys     *keyring.Ring
	// Trusted are the issuers whose assertions identify workloads. CheckTrusted has accepted them.
	Trusted []*TrustedIssuer
	Proofs  *dpop.Checker // of DPoP, shared by all requests

	// Admission is shared by all issuers of the process. ClientLimits are those of a client that has none of its own.
	Admission    *admission.Control
	Failures     *slowdown.Guard // of all issuers of the process; nil slows nothing down
	ClientLimits admission.Limits

	// AuthMethods are the only methods by which clients may authenticate. Default: all that the issuer can take.
	AuthMethods []string
	// TokenEndpointAudience accepts assertions of clients whose aud is the URL of the token endpoint.
	TokenEndpointAudience bool
	// ClientKeys fetches keys of clients from the public addresses of the Internet, and from JWKSAllowed.
	ClientKeys  ClientKeySource
	JWKSAllowed clientkeys.Allowed
	// Used remembers the assertions that were used, of all issuers of the process.
	Used *once.Memory
}

// Server is one running authorization server.
type Server struct {
	Config
	Store      *store.Store // the registry if it is in storage, else nil
	document   atomic.Pointer[metadataDocument]
	crowd      atomic.Int64 // the time of the last warning of warnOfCrowd
	failing    failing
	identities identityLog
	overloads  overloads
	inputs     policyInputs

	// takesCertificates is set if clients can present certificates. It is set when all of the config is known.
	takesCertificates atomic.Bool

	Revocations *revocation.Store
	// revoking has the revocations that are being stored, and collapsing those that take the place of others. collapsed is when
	// those of all clients were last found to be too many.
	revoking, collapsing singleflight.Group
	collapsed            atomic.Int64
	feed                 *feed

	// Minted remembers the tokens that are issued, nil if no door of the config takes them. It is set before Start.
	Minted *token.Memory
}

// New makes a server. It does not access the storage. The caller must call Close.
func New(config Config) *Server {
	s := &Server{Config: config, inputs: newPolicyInputs()}
	s.feed = newFeed(s)
	s.openRevocations()
	if stored, ok := config.Registry.(*store.Store); ok {
		s.Store = stored
		stored.OnWrite = s.tellRegistry
	}
	return s
}

// Registry is a registry that may change while the issuer runs.
type Registry interface {
	registry.Registry
	reload.Source
	// Problem says why the registry is not healthy, "" if it is.
	Problem() string
	// Age is how long ago the registry was last seen to equal what is stored.
	Age() time.Duration
}

// StoragePath returns the folder of an issuer in Caddy's storage.
func StoragePath(url string) string { return path.Join("m2m", StorageName(url)) }

// Routes returns the handlers of the issuer by path.
func (s *Server) Routes() map[string]http.HandlerFunc {
	base, _ := url.Parse(s.URL) // the config has checked it
	oidcPath, oauthPath := oauth.WellKnownPaths(s.URL)
	return map[string]http.HandlerFunc{
		base.Path + oauth.TokenPath:       s.serveToken,
		base.Path + oauth.JWKSPath:        oauth.Public(s.serveJWKS),
		base.Path + oauth.IntrospectPath:  s.serveReference(introspecting),
		base.Path + oauth.RevokePath:      s.serveReference(revoking),
		base.Path + oauth.RevocationsPath: oauth.Public(s.feed.serve),
		base.Path + oauth.AuthorizePath:   s.serveAuthorize,
		oidcPath:                          oauth.Public(s.serveMetadata),
		oauthPath:                         oauth.Public(s.serveMetadata),
	}
}

func (s *Server) serveJWKS(w http.ResponseWriter, r *http.Request) {
	keys, err := s.Keys.Current(r.Context())
	if err != nil {
		s.Logger.Debug("no keys to publish", zap.Error(err))
		oauth.Unavailable("the keys are not available now").Write(w)
		return
	}
	keys.JWKS.ServeHTTP(w, r)
}

// serveAuthorize serves the authorization_endpoint, which OpenID Connect Discovery §3 requires every provider to name. It
// refuses all requests, because the issuer supports no response type.
func (s *Server) serveAuthorize(w http.ResponseWriter, _ *http.Request) {
	oauth.UnsupportedResponseType().Write(w)
}

// The kinds of registries, as the config and the admin API name them.
const (
	RegistryInStorage = "storage"
	RegistryInFile    = "file"
)

// RegistrySource returns the kind of the registry, and the path of its file if it is one.
func (s *Server) RegistrySource() (kind, path string) {
	if s.RegistryPath == "" {
		return RegistryInStorage, ""
	}
	return RegistryInFile, s.RegistryPath
}

// Close releases what New and Join took.
func (s *Server) Close() {
	s.leavePeers()
	if s.Policy != nil {
		s.Policy.Close()
	}
}

// StorageName returns a readable name that no other issuer has: Safe drops characters that tell URLs apart, so the name
// ends in a hash of the URL.
func StorageName(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	_, rest, _ := strings.Cut(issuer, "://")
	return certmagic.StorageKeys.Safe(strings.ReplaceAll(rest, "/", "_")) + "-" + hex.EncodeToString(sum[:4])
}
