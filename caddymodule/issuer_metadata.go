package caddymodule

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// metadataMaxAge is how long the discovery documents may be cached.
const metadataMaxAge = 5 * time.Minute

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

func (i *issuerServer) serveMetadata(choose func(*metadataDocuments) http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		docs, err := i.metadata(r.Context())
		if err != nil {
			i.logger.Debug("no metadata to publish", zap.Error(err))
			oauth.Unavailable("the metadata cannot be had now").Write(w)
			return
		}
		choose(docs).ServeHTTP(w, r)
	}
}

func (i *issuerServer) metadata(ctx context.Context) (*metadataDocuments, error) {
	revision := i.registry.Revision()
	keys, err := i.keys.Current(ctx)
	if err != nil {
		return nil, err
	}
	if docs := i.documents.latest.Load(); docs != nil && docs.revision == revision && slices.Equal(docs.algs, keys.Algs) {
		return docs, nil
	}
	scopes, err := i.Scopes(ctx, "")
	if err != nil {
		return nil, err
	}
	// all of them, for tokens of a former signing_alg are valid until they end, and clients such as
	// go-oidc refuse algorithms that are not named here
	meta := oauth.NewServerMetadata(i.URL, scopes, keys.Algs)
	docs := &metadataDocuments{
		revision: revision, algs: keys.Algs,
		openID: oauth.NewJSONDocument(meta.OpenID(), metadataMaxAge),
		oauth:  oauth.NewJSONDocument(meta, metadataMaxAge),
	}
	i.documents.latest.Store(docs)
	return docs, nil
}
