package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// MaxBody is the greatest number of bytes that metadata or keys may have, after any content coding is
// undone.
const MaxBody = 256 << 10

// Timeout bounds one discovery, and one fetch of keys with the discovery that it may need.
const Timeout = 10 * time.Second

const maxRedirects = 3

// document is a fetched document; body is nil when the server said 304.
type document struct {
	body   []byte
	header http.Header
}

// FetchDocument fetches a document of an issuer, of at most limit bytes, unless it is the one that etag names: body
// is nil then. Fetch's other bounds hold here, too.
func FetchDocument(ctx context.Context, client *http.Client, location, etag string, limit int64) (body []byte, newETag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	doc, err := get(ctx, client, location, etag, limit)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("fetching %s: %w", location, err)
	case doc.body == nil:
		return nil, etag, nil
	}
	return doc.body, doc.header.Get("ETag"), nil
}

// get fetches a document, only if it is another than etag names, unless etag is "".
func get(ctx context.Context, client *http.Client, location, etag string, limit int64) (*document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json, */*;q=0.1")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := cautious(client).Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		return &document{header: resp.Header}, nil
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := readBody(resp.Body, limit)
	return &document{body: body, header: resp.Header}, err
}

func readBody(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading body: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return body, nil
}

// cautious is a copy of client that keeps no cookies and stays on the origin it was sent to.
func cautious(client *http.Client) *http.Client {
	c := new(http.Client)
	if client != nil {
		*c = *client
	}
	c.Jar = nil
	c.CheckRedirect = sameOrigin
	return c
}

func sameOrigin(req *http.Request, via []*http.Request) error {
	if normalOrigin(req.URL) != normalOrigin(via[0].URL) {
		return errors.New("redirected to another origin")
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return nil
}

// withoutURL drops the method and URL that net/http puts before its errors: the callers name the
// place, and a redirect's may hold anything.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
