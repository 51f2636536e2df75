package policy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// Defaults of a [BundleConfig].
const (
	DefaultPollMin = 30 * time.Second
	DefaultPollMax = time.Minute
)

// BundleConfig says where an OPA bundle is, and how it is got and verified.
type BundleConfig struct {
	// Location is the path of a bundle (.tar.gz), or the https URL of one; http is for loopback
	// hosts. A file is looked at by [Engine.Reload], a URL is polled from [Engine.Start] on.
	Location string
	// Keys verify the bundle's signature, which is then required. Without any, signatures are not
	// expected: a bundle that has one is refused, for nobody could say whether it is right.
	Keys []BundleKey
	// Scope is what the signature must have as its scope. Default: none.
	Scope string
	// Header goes with every request to the bundle server, and to nobody else.
	Header http.Header
	// PollMin and PollMax are the bounds of the time between two requests, which is random.
	// Default: DefaultPollMin, DefaultPollMax.
	PollMin, PollMax time.Duration
	// LongPoll is how long the server may wait with its answer until there is something new, in
	// whole seconds. It is asked for, and a server that cannot is polled. Default: it is not asked.
	LongPoll time.Duration
	// Store keeps the last good bundle of a URL, for a start without the server. Default: none.
	Store BundleStore
	// OnFault hears of a Store that fails, which hinders no decision. Default: nobody does.
	OnFault func(doing string, err error)

	pace pace
}

// BundleStore keeps one object.
type BundleStore interface {
	// Load is the object as it was stored; fs.ErrNotExist when there is none.
	Load(ctx context.Context) ([]byte, error)
	// Store replaces the object, whole or not at all.
	Store(ctx context.Context, object []byte) error
}

// pace is what a bundle server cannot change, and only tests do.
type pace struct {
	floor   time.Duration // the least time between two requests, whatever the server says
	header  time.Duration // until an answer begins; a long poll's wait comes on top
	body    time.Duration // from then on until all of it is there
	storage time.Duration // for one access to the store
	again   time.Duration // until a kept bundle that could not be had is looked for again
}

var defaultPace = pace{
	floor:   time.Second,
	header:  30 * time.Second,
	body:    time.Minute,
	storage: 15 * time.Second,
	again:   15 * time.Second,
}

// bundleSource is where an engine's bundle comes from.
type bundleSource struct {
	cfg  BundleConfig
	keys *bundle.VerificationConfig
	// where is the location as people may see it.
	where  string
	remote *remote // nil for a file
}

func newBundleSource(cfg BundleConfig) (*bundleSource, error) {
	address, err := parseLocation(cfg.Location)
	if err != nil {
		return nil, err
	}
	b := &bundleSource{cfg: cfg, where: cfg.Location}
	if b.keys, err = verification(cfg.Keys, cfg.Scope); err != nil {
		return nil, err
	}
	if address != nil {
		b.where = address.Scheme + "://" + address.Host + address.EscapedPath()
		b.remote, err = newRemote(address, b.cfg.withDefaults())
	}
	return b, err
}

func (c BundleConfig) withDefaults() BundleConfig {
	if c.PollMin <= 0 && c.PollMax <= 0 {
		c.PollMin, c.PollMax = DefaultPollMin, DefaultPollMax
	}
	c.PollMax = max(c.PollMin, c.PollMax)
	if c.OnFault == nil {
		c.OnFault = func(string, error) {}
	}
	if c.pace == (pace{}) {
		c.pace = defaultPace
	}
	return c
}

// read makes a policy of a bundle's bytes.
func (b *bundleSource) read(compressed []byte) (*bundled, error) {
	return readBundle(compressed, b.keys)
}

// fault says of which bundle an error is.
func (b *bundleSource) fault(err error) error { return fmt.Errorf("bundle %s: %w", b.where, err) }

// CheckBundleLocation reports what is wrong with the location of a bundle. Its errors do not show the
// location, which may hold a password.
func CheckBundleLocation(location string) error {
	_, err := parseLocation(location)
	return err
}

// IsBundleURL reports whether a location is that of a server, and not of a file.
func IsBundleURL(location string) bool { return strings.Contains(location, "://") }

// parseLocation is the URL of a location, and nil for a file.
func parseLocation(location string) (*url.URL, error) {
	if location == "" {
		return nil, errors.New("a bundle needs a path or a URL")
	}
	if !IsBundleURL(location) {
		return nil, nil
	}
	u, err := url.Parse(location)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return nil, errors.New("the bundle's URL is malformed")
	}
	switch {
	case u.User != nil:
		return nil, errors.New("the bundle's URL has user information: send credentials in a header")
	case u.Fragment != "":
		return nil, errors.New("the bundle's URL has a fragment, which no server sees")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("the bundle's URL must be https; http is for a loopback host only")
	}
	return u, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
