package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

// source is where an issuer's keys were found last, and how to ask whether they have changed.
type source struct {
	jwksURI string
	until   time.Time // when to discover again
	etag    string    // of the current key set
}

// load fetches the key set, after finding its location if that is not known. Only one load runs at a time.
func (k *Keys[T]) load(ctx context.Context) (*entry[T], error) {
	if err := k.locate(ctx); err != nil {
		return nil, fmt.Errorf("discovering issuer: %w", err)
	}
	e, err := k.loadKeys(ctx)
	if err != nil {
		location := k.source.jwksURI
		k.source.jwksURI = "" // the keys may have moved
		return nil, fmt.Errorf("fetching keys from %s: %w", withoutQuery(location), err)
	}
	return e, nil
}

// rediscoverAfter is how long metadata is used: the location of the keys and of the feed of revocations.
const rediscoverAfter = time.Hour

// locate finds the location of the keys if it is not known, or if it was found rediscoverAfter ago.
func (k *Keys[T]) locate(ctx context.Context) error {
	if k.cfg.JWKSURI != "" {
		k.source.jwksURI = k.cfg.JWKSURI
		return nil
	}
	if k.source.jwksURI != "" && time.Now().Before(k.source.until) {
		return nil
	}
	m, err := k.cfg.fetch(ctx, k.cfg.Client, k.cfg.checkForKeys)
	known := k.source.jwksURI != ""
	if k.cfg.OnMetadata != nil && (err == nil || known) {
		k.cfg.OnMetadata(err)
	}
	if err != nil && known { // failing metadata does not stop the fetch of keys
		k.source.until = time.Now().Add(DefaultAge)
		return nil
	}
	if err != nil {
		return err
	}
	k.source = source{jwksURI: m.JWKSURI, until: time.Now().Add(rediscoverAfter)}
	k.metadata.Store(m)
	return nil
}

// checkForKeys refuses a document that does not lead to keys, or not to a place that is allowed.
func (s Source) checkForKeys(m *Metadata) error {
	if m.JWKSURI == "" {
		return errors.New("the document names no jwks_uri")
	}
	return s.checkOrigins(m)
}

func (k *Keys[T]) loadKeys(ctx context.Context) (*entry[T], error) {
	doc, err := get(ctx, k.cfg.Client, k.source.jwksURI, k.source.etag)
	if err != nil {
		return nil, err
	}
	keys, err := k.parse(doc)
	if err != nil {
		return nil, fmt.Errorf("parsing key set: %w", err)
	}
	now := time.Now()
	return &entry[T]{keys: keys, fetched: now, freshUntil: now.Add(cacheAge(doc.Header))}, nil
}

// parse returns the key set of a document, which is the current one if the document has not changed.
func (k *Keys[T]) parse(doc *fetch.Document) (T, error) {
	if doc.Unchanged {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.current.keys, nil // there is one: an ETag is only kept of a good key set
	}
	keys, err := k.cfg.Parse(doc.Body)
	if err == nil {
		k.source.etag = doc.ETag
	}
	return keys, err
}

// A key set is fetched again at the age that its server sets in Cache-Control, within bounds. Default: DefaultAge.
const (
	MinAge     = time.Minute
	MaxAge     = 24 * time.Hour
	DefaultAge = 5 * time.Minute
)

func cacheAge(h http.Header) time.Duration {
	age := DefaultAge
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return MinAge
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age = time.Duration(seconds) * time.Second
			}
		}
	}
	if seconds, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil { // in caches on the way (RFC 9111 §5.1)
		age -= time.Duration(seconds) * time.Second
	}
	return min(max(age, MinAge), MaxAge)
}
