package issuer

import (
	"context"
	"net/http"
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// metadataDocuments are the discovery documents of an issuer, for one revision of its registry and one set of algorithms.
type metadataDocuments struct {
	revision      string
	algs          []string
	openID, oauth http.Handler
}

func (s *Server) serveMetadata(choose func(*metadataDocuments) http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		docs, err := s.metadata(r.Context())
		if err != nil {
			s.Logger.Debug("no metadata to publish", zap.Error(err))
			oauth.Unavailable("the metadata is not available now").Write(w)
			return
		}
		choose(docs).ServeHTTP(w, r)
	}
}

func (s *Server) metadata(ctx context.Context) (*metadataDocuments, error) {
	revision := s.Registry.Revision()
	keys, err := s.Keys.Current(ctx)
	if err != nil {
		return nil, err
	}
	if docs := s.documents.Load(); docs != nil && docs.revision == revision && slices.Equal(docs.algs, keys.Algs) {
		return docs, nil
	}
	scopes, err := s.Scopes(ctx, "")
	if err != nil {
		return nil, err
	}
	// Tokens of an earlier signing_alg are valid until they expire, and clients such as go-oidc refuse algorithms that the
	// metadata does not name.
	meta := oauth.NewServerMetadata(s.URL, scopes, keys.Algs)
	docs := &metadataDocuments{
		revision: revision, algs: keys.Algs,
		openID: oauth.NewJSONDocument(meta.OpenID(), oauth.MetadataMaxAge),
		oauth:  oauth.NewJSONDocument(meta, oauth.MetadataMaxAge),
	}
	s.documents.Store(docs)
	return docs, nil
}
