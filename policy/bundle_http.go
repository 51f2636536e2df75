package policy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/plugins/rest"
)

// longPollType is how a server says that it has long polling (OPA's bundle service API).
const longPollType = "application/vnd.openpolicyagent.bundles"

const maxRedirects = 3

// connection is the way to a bundle server. It is the HTTP client of OPA's downloader, which itself
// would read whatever comes for as long as it comes: here an answer is read whole, within bounds, and
// verified, before OPA sees it.
type connection struct {
	address  *url.URL
	header   http.Header
	longPoll time.Duration
	pace     pace
	base     *http.Transport
	read     func(compressed []byte) (*bundled, error)

	// Of the answers so far; one request is made at a time.
	taken      content // the last bundle that was taken
	etag       string  // what the server calls that
	offered    content // the one that OPA is being told of
	bundle     *bundled
	refused    content // the last that is no good bundle
	refusal    error
	isLongPoll bool // whether the server has long polling
}

// content tells contents apart.
type content [sha256.Size]byte

func newConnection(address *url.URL, cfg BundleConfig) *connection {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.DisableCompression = true // a bundle is compressed, whatever the server calls that
	return &connection{
		address: address, header: cfg.Header, longPoll: cfg.LongPoll, pace: cfg.pace, base: base,
		isLongPoll: cfg.LongPoll > 0,
	}
}

// client is OPA's client for the one address.
func (c *connection) client() (rest.Client, error) {
	const name = "m2m"
	config, err := json.Marshal(map[string]any{
		"url":         c.address.Scheme + "://" + c.address.Host,
		"credentials": map[string]any{"plugin": name},
	})
	if err != nil {
		return rest.Client{}, err
	}
	return rest.New(config, nil, rest.Logger(logging.NewNoOpLogger()),
		rest.AuthPluginLookup(func(string) rest.HTTPAuthPlugin { return c }))
}

// NewClient is called by OPA.
func (c *connection) NewClient(rest.Config) (*http.Client, error) {
	return &http.Client{Transport: c, CheckRedirect: sameOrigin}, nil
}

// Prepare is called by OPA before each request. Deltas are not asked for; the URL is the very one that was
// configured; and the ETag is that of what was taken, for OPA goes on sending one that it has given up.
func (c *connection) Prepare(req *http.Request) error {
	address := *c.address
	req.URL = &address
	for name, values := range c.header {
		req.Header[name] = values
	}
	if req.Header.Del("If-None-Match"); c.etag != "" {
		req.Header.Set("If-None-Match", c.etag)
	}
	req.Header.Set("Prefer", strings.Replace(req.Header.Get("Prefer"), "modes=snapshot,delta", "modes=snapshot", 1))
	return nil
}

// sameOrigin keeps what is sent, and what is believed, with the server that was configured.
func sameOrigin(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return errors.New("redirected to another origin")
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return nil
}

// RoundTrip makes one request. Its answer is a bundle that is whole and good, or has no body. The
// bundle that came last is the same as none, for a server need not know ETags.
func (c *connection) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	timer := time.AfterFunc(c.pace.header+c.longPoll, func() { cancel(errors.New("the server does not answer")) })
	defer timer.Stop()
	resp, err := c.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, whyEnded(ctx, err)
	}
	defer resp.Body.Close()
	body := resp.Body
	resp.Body, resp.ContentLength = http.NoBody, 0
	if resp.StatusCode != http.StatusOK {
		return resp, nil
	}
	timer.Stop()
	timer = time.AfterFunc(c.pace.body, func() { cancel(errors.New("the answer takes too long to come")) })
	defer timer.Stop()
	compressed, err := io.ReadAll(io.LimitReader(body, maxCompressed+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", whyEnded(ctx, err))
	}
	return c.judge(resp, compressed)
}

// judge reads a bundle, unless it is one that has been read.
func (c *connection) judge(resp *http.Response, compressed []byte) (*http.Response, error) {
	switch sum := content(sha256.Sum256(compressed)); sum {
	case c.taken:
		c.etag = resp.Header.Get("ETag")
		resp.StatusCode = http.StatusNotModified
		return resp, nil
	case c.refused:
		return nil, c.refusal
	default:
		b, err := c.read(compressed)
		if err != nil {
			c.refused, c.refusal = sum, explainAnswer(err, resp.Header.Get("Content-Type"))
			return nil, c.refusal
		}
		c.offered, c.bundle, c.refused = sum, b, content{}
	}
	c.isLongPoll = c.longPoll > 0 && resp.Header.Get("Content-Type") == longPollType
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(compressed)), int64(len(compressed))
	return resp, nil
}

// take is the bundle that has come.
func (c *connection) take(etag string) (sources []source, revision string) {
	b := c.bundle
	c.taken, c.etag, c.bundle = c.offered, etag, nil
	return b.sources, b.revision
}

// explainAnswer shows what is likely to be an error page for one.
func explainAnswer(err error, contentType string) error {
	const enough = 60
	if !errors.Is(err, errNoArchive) || contentType == "" {
		return err
	}
	return fmt.Errorf("%w, the server says it is %.*q", err, enough, contentType)
}

// whyEnded is why a request was given up, if it was.
func whyEnded(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
