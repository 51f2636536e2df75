package issuer

import (
	"context"
	"net/http"
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// metadataDocument is the discovery document of an issuer, for one revision of its registry and one set of algorithms. It is
// served at the two places where clients look.
type metadataDocument struct {
	*oauth.Document
	revision     string
	algs         []string
	certificates bool
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	document, err := s.metadata(r.Context())
	if err != nil {
		s.Logger.Debug("no metadata to publish", zap.Error(err))
		oauth.Unavailable("the metadata is not available now").Write(w)
		return
	}
	document.ServeHTTP(w, r)
}

func (s *Server) metadata(ctx context.Context) (*metadataDocument, error) {
	revision := s.Registry.Revision()
	keys, err := s.Keys.Current(ctx)
	if err != nil {
		return nil, err
	}
	certificates := s.takesCertificates.Load()
	if latest := s.document.Load(); latest.isOf(revision, keys.Algs, certificates) {
		return latest, nil
	}
	scopes, err := s.Scopes(ctx, "")
	if err != nil {
		return nil, err
	}
	// Tokens of an earlier signing_alg are valid until they expire, and clients such as go-oidc refuse algorithms that the
	// metadata does not name.
	meta := oauth.NewServerMetadata(s.URL, oauth.Supported{
		Scopes: scopes, SigningAlgs: keys.Algs, GrantTypes: s.grantTypes(), AuthMethods: s.authMethods(), AuthAlgs: token.AcceptedAlgs(),
		ProofAlgs: token.ProofAlgs(), Certificates: certificates, MTLSURL: s.MTLSURL,
	})
	document := &metadataDocument{oauth.NewJSONDocument(meta, oauth.MetadataMaxAge), revision, keys.Algs, certificates}
	s.document.Store(document)
	return document, nil
}

func (d *metadataDocument) isOf(revision string, algs []string, certificates bool) bool {
	return d != nil && d.revision == revision && slices.Equal(d.algs, algs) && d.certificates == certificates
}
