// Package bundle fetches OPA bundles, verifies their signatures and unpacks them, within bounds. [Open] returns the
// [Source] of a bundle: of a file, which [Source.Reload] reads, or of a server, which [Source.Poll] polls. It imports
// policy/files, internal/fetch and internal/envelope; of OPA it uses the reader and the verification of bundles.
package bundle

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// Defaults of a [Config].
const (
	DefaultPollMin = 30 * time.Second
	DefaultPollMax = time.Minute
)

// Config says where an OPA bundle is, and how it is fetched and verified.
type Config struct {
	// Location is the path of a bundle (.tar.gz), or its https URL; http is for loopback hosts.
	Location string
	// Keys verify the bundle's signature, which is then required. Default: none, and a signed bundle is refused, because
	// nothing can tell whether its signature is right.
	Keys []Key
	// Scope is the scope that the signature must have. Default: none.
	Scope string
	// Header is sent with every request to the bundle server, and to no other server.
	Header http.Header
	// PollMin and PollMax bound the random time between two requests. Default: DefaultPollMin, DefaultPollMax.
	PollMin, PollMax time.Duration
	// LongPoll asks the server to delay its answer until there is something new, for up to that many whole seconds. A
	// server that does not support it is polled. Default: 0, and the server is not asked to.
	LongPoll time.Duration
	// Store keeps the last good bundle of a URL, for a start without the server. Default: none.
	Store Store
	// OnFault is called when Store fails, which does not stop decisions. Default: nothing is called.
	OnFault func(doing string, err error)

	pace pace
}

// Store keeps one object.
type Store interface {
	// Load returns the object as it was stored, or fs.ErrNotExist if there is none.
	Load(ctx context.Context) ([]byte, error)
	// Store replaces the object, completely or not at all.
	Store(ctx context.Context, object []byte) error
}

// pace holds times that only tests change.
type pace struct {
	Floor   time.Duration // least time between two requests, whatever the server says
	Answer  time.Duration // until an answer begins; the wait of a long poll is added
	Body    time.Duration // from then until it is complete
	Storage time.Duration // for one access to the store
	Restore time.Duration // between two attempts to load the kept bundle
}

var defaultPace = pace{
	Floor:   time.Second,
	Answer:  30 * time.Second,
	Body:    time.Minute,
	Storage: 15 * time.Second,
	Restore: 15 * time.Second,
}

func (c Config) withDefaults() Config {
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

// Bundle is a verified bundle.
type Bundle struct {
	Version
	// Revision is that of the manifest; often "".
	Revision string
	// Files are its rules, tests and data, in the order in which a folder's files are read.
	Files []files.File
	// Downloaded is when it was fetched from its server; zero for a file.
	Downloaded time.Time
}

// Version identifies a bundle of a server.
type Version struct {
	// ETag is the server's name for it, or "".
	ETag string

	sum checksum
}

// Source is where a bundle comes from.
type Source struct {
	// OnFault is that of the Config, and never nil.
	OnFault func(doing string, err error)

	cfg   Config
	keys  *opa.VerificationConfig
	where string
	file  *files.Watch // nil for a server
	*server
}

// Open checks a configuration. It reads no file and sends no request.
func Open(cfg Config) (*Source, error) {
	address, err := parseLocation(cfg.Location)
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Source{OnFault: cfg.OnFault, cfg: cfg, where: cfg.Location}
	if s.keys, err = verification(cfg.Keys, cfg.Scope); err != nil {
		return nil, err
	}
	if address == nil {
		s.file = &files.Watch{Find: s.find, Read: func(found []files.File) error { return found[0].Read(maxCompressed) }}
		return s, nil
	}
	if cfg.LongPoll > 0 && cfg.LongPoll < time.Second {
		return nil, errors.New("a long poll waits for at least a second")
	}
	s.where = address.Scheme + "://" + address.Host + address.EscapedPath()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // a bundle is compressed, whatever the server calls that
	s.server = &server{client: &http.Client{Transport: transport}, store: keptBundle{cfg: cfg}, longPolls: cfg.LongPoll > 0}
	return s, nil
}

// Where returns the bundle's path, or its URL without the query, which may hold a credential.
func (s *Source) Where() string { return s.where }

// IsRemote reports whether the bundle comes from a server.
func (s *Source) IsRemote() bool { return s.server != nil }

// Reload returns the bundle of a file if it may have changed since the last call, and nil if it has not.
func (s *Source) Reload() (*Bundle, error) {
	found, changed, err := s.file.Look()
	if err != nil || !changed {
		return nil, err
	}
	return read(found[0].Content, s.keys)
}

func (s *Source) find() ([]files.File, error) {
	file, err := files.Stat(s.cfg.Location)
	return []files.File{file}, err
}

// CheckLocation reports what is wrong with the location of a bundle. Its errors do not show the location, which may hold
// a password.
func CheckLocation(location string) error {
	_, err := parseLocation(location)
	return err
}

// IsURL reports whether a location is that of a server, and not of a file.
func IsURL(location string) bool { return strings.Contains(location, "://") }

// parseLocation returns the URL of a location, or nil for a file.
func parseLocation(location string) (*url.URL, error) {
	if location == "" {
		return nil, errors.New("a bundle needs a path or a URL")
	}
	if !IsURL(location) {
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
		return nil, errors.New("the bundle's URL has a fragment, which is not sent to a server")
	case u.Scheme != "https" && (u.Scheme != "http" || !fetch.IsLoopback(u.Hostname())):
		return nil, errors.New("the bundle's URL must be https; http is for a loopback host only")
	}
	return u, nil
}
