package issuer

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// documents holds an issuer's discovery documents, encoded once for each revision of its registry and each set of
// algorithms.
type documents struct {
	latest atomic.Pointer[metadataDocuments]
}

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
			oauth.Unavailable("the metadata cannot be had now").Write(w)
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
	if docs := s.documents.latest.Load(); docs != nil && docs.revision == revision && slices.Equal(docs.algs, keys.Algs) {
		return docs, nil
	}
	scopes, err := s.Scopes(ctx, "")
	if err != nil {
		return nil, err
	}
	// all of them, for tokens of a former signing_alg are valid until they end, and clients such as
	// go-oidc refuse algorithms that are not named here
	meta := oauth.NewServerMetadata(s.URL, scopes, keys.Algs)
	docs := &metadataDocuments{
		revision: revision, algs: keys.Algs,
		openID: oauth.NewJSONDocument(meta.OpenID(), oauth.MetadataMaxAge),
		oauth:  oauth.NewJSONDocument(meta, oauth.MetadataMaxAge),
	}
	s.documents.latest.Store(docs)
	return docs, nil
}
