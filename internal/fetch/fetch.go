// Package fetch reads documents from HTTP servers that this process polls: metadata, keys, feeds and bundles. Its entry
// point is [Get], which bounds the size of a document and the time for it, and stays on the origin of its URL. It
// imports only the standard library.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const maxRedirects = 3

// Errors of [Get] beside a [StatusError] and those of net/http.
var (
	ErrTooLarge     = errors.New("the document is too large")
	ErrNoAnswer     = errors.New("the server does not answer")
	ErrSlow         = errors.New("the answer takes too long to come")
	errOtherOrigin  = errors.New("redirected to another origin")
	errNotURL       = errors.New("not a URL")
	errManyRedirect = fmt.Errorf("redirected more than %d times", maxRedirects)
)

// StatusError is the status of an answer that is not a document.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// Request says which document to fetch.
type Request struct {
	URL string
	// Header is sent to the server, and to no other origin.
	Header http.Header
	// ETag names a document that the caller has (RFC 9110 §8.8.3). Default: the caller has none.
	ETag string
	// MaxSize is the number of bytes that the document may have, after any content coding is undone.
	MaxSize int64
	// AnswerTimeout bounds the time until an answer begins, and BodyTimeout the time from then until it is complete.
	// Default: only the context bounds them.
	AnswerTimeout, BodyTimeout time.Duration
}

// Document is the answer of a server.
type Document struct {
	// Unchanged reports that the document is still the one that Request.ETag names. Body is then empty.
	Unchanged bool
	Body      []byte
	// ETag names the document, or is "" if the server does not say.
	ETag   string
	Header http.Header
}

// Get fetches a document. It uses the client's transport, or http.DefaultTransport if the client is nil. It neither
// sends nor keeps cookies, and follows at most three redirects, all to the same origin. Its errors do not hold the URL,
// which may hold credentials.
func Get(ctx context.Context, client *http.Client, r Request) (*Document, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return nil, errNotURL
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if req.Header.Del("If-None-Match"); r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	}
	stop := cancelAfter(cancel, r.AnswerTimeout, ErrNoAnswer)
	resp, err := restricted(client).Do(req)
	if stop(); err != nil {
		return nil, cause(ctx, withoutURL(err))
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && r.ETag != "":
		return &Document{Unchanged: true, ETag: r.ETag, Header: resp.Header}, nil
	case resp.StatusCode != http.StatusOK:
		return nil, StatusError(resp.StatusCode)
	}
	defer cancelAfter(cancel, r.BodyTimeout, ErrSlow)()
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", cause(ctx, err))
	}
	if int64(len(body)) > r.MaxSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, r.MaxSize)
	}
	return &Document{Body: body, ETag: resp.Header.Get("ETag"), Header: resp.Header}, nil
}

// cancelAfter cancels a request after a timeout, unless it is 0 or the function that is returned is called before.
func cancelAfter(cancel context.CancelCauseFunc, timeout time.Duration, cause error) (stop func()) {
	if timeout == 0 {
		return func() {}
	}
	timer := time.AfterFunc(timeout, func() { cancel(cause) })
	return func() { timer.Stop() }
}

// cause returns why the request was canceled, or err if it was not.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

// restricted returns a copy of a client that has no cookies and stays on the origin that it is sent to.
func restricted(client *http.Client) *http.Client {
	var c http.Client
	if client != nil {
		c = *client
	}
	c.Jar, c.CheckRedirect, c.Transport = nil, checkRedirect, Transport(c.Transport)
	return &c
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case Origin(req.URL) != Origin(via[0].URL):
		return errOtherOrigin
	case len(via) > maxRedirects:
		return errManyRedirect
	}
	return nil
}

// withoutURL removes the method and URL that net/http puts before its errors. The URL may be that of a redirect, which
// the server chooses.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
