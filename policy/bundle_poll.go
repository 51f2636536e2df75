package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/download"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/util"
)

// remote is the bundle of a server. What is downloaded is put into force at once; Reload tells of it.
type remote struct {
	cfg  BundleConfig
	conn *connection
	kept kept
	news news

	// Guarded by the engine's watch.
	downloaded time.Time // when the bundle in force came
	confirmed  time.Time // when the server last said that it has it
	etag       string
	// broken is what is wrong with the last bundle that came, if it does not compile.
	broken *failure
}

// failure is what was wrong, and by what to know it again.
type failure struct {
	key string
	err error
}

func newRemote(address *url.URL, cfg BundleConfig) (*remote, error) {
	if cfg.LongPoll > 0 && cfg.LongPoll < time.Second {
		return nil, errors.New("a long poll waits for at least a second")
	}
	return &remote{cfg: cfg, conn: newConnection(address, cfg), kept: kept{cfg: cfg}}, nil
}

// Start has a bundle of a server in force if one was kept, and downloads it again and again until ctx is
// done. It waits for storage, and not for the server. Without such a bundle it does nothing.
func (e *Engine) Start(ctx context.Context) error {
	if e.bundle == nil || e.bundle.remote == nil {
		return nil
	}
	r := e.bundle.remote
	downloader, err := r.downloader(e)
	if err != nil {
		return e.bundle.fault(err)
	}
	if k := e.restore(ctx); k != nil {
		r.conn.taken, r.conn.etag = k.sum, k.ETag
	}
	go r.poll(ctx, downloader)
	return nil
}

func (r *remote) downloader(e *Engine) (*download.Downloader, error) {
	// OPA's own loop counts in seconds, outlives its context, and asks a server that answers long polls at once
	// as fast as it can
	trigger := plugins.TriggerManual
	config := download.Config{Trigger: &trigger}
	if r.cfg.LongPoll > 0 {
		seconds := int64(r.cfg.LongPoll / time.Second)
		config.Polling.LongPollingTimeoutSeconds = &seconds
	}
	if err := config.ValidateAndInjectDefaults(); err != nil {
		return nil, err
	}
	r.conn.read = e.bundle.read
	client, err := r.conn.client()
	if err != nil {
		return nil, err
	}
	return download.New(config, client, r.conn.address.EscapedPath()).
		WithBundleVerificationConfig(e.bundle.keys).
		WithSizeLimitBytes(maxBytes).
		WithLazyLoadingMode(true). // it has been read, and is only told to be new
		WithBundlePersistence(true).
		WithCallback(e.downloaded), nil
}

func (r *remote) poll(ctx context.Context, downloader *download.Downloader) {
	defer r.conn.base.CloseIdleConnections()
	for failures := 0; ; {
		err := downloader.Trigger(ctx)
		if err != nil {
			failures++
		} else {
			failures = 0
			r.kept.save(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.delay(failures)):
		}
	}
}

// delay is how long to wait: at random between two bounds, so that nodes do not ask all at once, longer after
// each failure, and hardly at all where it is the server that waits.
func (r *remote) delay(failures int) time.Duration {
	switch least, most := r.cfg.PollMin, r.cfg.PollMax; {
	case failures > 0:
		return max(r.cfg.pace.floor, util.DefaultBackoff(float64(r.cfg.pace.floor), float64(most), failures))
	case r.conn.isLongPoll:
		return r.cfg.pace.floor
	default:
		return max(r.cfg.pace.floor, least+rand.N(most-least+1))
	}
}

// downloaded takes what a download came to. A bundle that cannot be had is noted here, and no error for
// OPA.
func (e *Engine) downloaded(ctx context.Context, update download.Update) error {
	if ctx.Err() != nil {
		return nil
	}
	r := e.bundle.remote
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	if update.Error != nil {
		err := explainDownload(update.Error)
		e.failed(failure{withoutNumbers(err), err})
		return nil
	}
	r.confirmed = e.watch.now()
	if update.Bundle == nil {
		e.unchanged()
		return nil
	}
	compressed, err := io.ReadAll(update.Raw)
	if err != nil {
		return err
	}
	changed, err := e.replace(r.conn.take(update.ETag))
	if r.broken = e.watch.failure(); r.broken != nil {
		if err != nil {
			r.news.add(false, e.bundle.fault(err))
		}
		return nil
	}
	r.downloaded, r.etag = r.confirmed, update.ETag
	r.news.add(changed, nil)
	r.kept.next(&keptBundle{Where: e.bundle.where, ETag: update.ETag, Downloaded: r.downloaded, sum: r.conn.taken, compressed: compressed})
	return nil
}

// unchanged is that the server has what it had, which may be broken.
func (e *Engine) unchanged() {
	if r := e.bundle.remote; r.broken != nil {
		e.failed(*r.broken)
		return
	}
	e.watch.failed = ""
}

// failed notes what Reload tells of, if it is not what was wrong before.
func (e *Engine) failed(f failure) {
	if err := e.watch.once(f.key, f.err); err != nil {
		e.bundle.remote.news.add(false, e.bundle.fault(err))
	}
}

// explainDownload leaves out what net/http and OPA put around an error, the URL's query above all.
func explainDownload(err error) error {
	var request *url.Error
	var status download.HTTPError
	var network *net.OpError
	switch {
	case errors.As(err, &status):
		return fmt.Errorf("the server answered %d %s", status.StatusCode, http.StatusText(status.StatusCode))
	case errors.As(err, &network):
		return fmt.Errorf("%s: %w", network.Op, network.Err)
	case errors.As(err, &request):
		return request.Err
	}
	return err
}

var numbers = regexp.MustCompile(`\d+`)

// withoutNumbers is a failure without what may differ each time, such as a port.
func withoutNumbers(err error) string { return numbers.ReplaceAllString(err.Error(), "") }

// news is what has happened since Reload last asked.
type news struct {
	mu      sync.Mutex
	changed bool
	err     error
}

func (n *news) add(changed bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed = n.changed || changed
	n.err = err
}

// take tells of a change first, and next time of what has gone wrong since.
func (n *news) take() (changed bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed {
		n.changed = false
		return true, nil
	}
	err, n.err = n.err, nil
	return false, err
}
