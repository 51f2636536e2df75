package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

// Bounds of a bundle's settings.
const (
	minPoll     = time.Second
	maxPoll     = 24 * time.Hour
	maxLongPoll = 10 * time.Minute
)

// BundleSource says where a policy's OPA bundle is, and how it is fetched and verified.
type BundleSource struct {
	// Location is the path or the URL of a bundle (.tar.gz). A URL is https, or http with a loopback host. A file is read when
	// the config is loaded, and again after it changes. A URL is polled while the config runs, and the latest bundle is
	// stored in Caddy's storage. Requests are answered with 503 until there is a first bundle. Placeholders: {env.*} and
	// {file.*}. Required.
	Location string `json:"location"`

	// Keys verify the signature of the bundle. With keys, a bundle without a signature is an error. Without keys, a bundle
	// with a signature is an error. Default: none.
	Keys []*BundleKeySource `json:"keys,omitempty"`

	// Scope is the scope that the signature of the bundle must have. It needs a key. Placeholders: {env.*} and {file.*}.
	// Default: none.
	Scope string `json:"scope,omitempty"`

	// Headers maps names to values of headers that are sent with each request for the bundle. The value of a header that
	// carries credentials, such as Authorization, must contain a placeholder. Placeholders: {env.*} and {file.*}. Default:
	// none.
	Headers map[string]string `json:"headers,omitempty"`

	// PollMin is the shortest time between two requests for the bundle. At least 1s. Default: 30s.
	PollMin caddy.Duration `json:"poll_min,omitempty"`

	// PollMax is the longest time between two requests for the bundle. At least poll_min, at most 24h. Default: 60s.
	PollMax caddy.Duration `json:"poll_max,omitempty"`

	// LongPoll asks the server to delay its answer until the bundle changes, but not longer than this time. A server without
	// long polling is polled. Whole seconds. At least 1s, at most 10m. Default: none, so that the server answers at once.
	LongPoll caddy.Duration `json:"long_poll,omitempty"`
}

// BundleKeySource is a key that verifies signatures of bundles.
type BundleKeySource struct {
	// ID is the name of the key in a signature (kid or keyid). If there is only one key, it verifies signatures with any
	// name. Required.
	ID string `json:"id"`

	// Key is one placeholder, {env.*} or {file.*}, for a public key in PEM or for the secret of an HMAC algorithm. Required,
	// unless File is set.
	Key string `json:"key,omitempty"`

	// File is the path of a public key in PEM. Placeholders: {env.*} and {file.*}. Required, unless Key is set.
	File string `json:"file,omitempty"`

	// Alg is the JWS algorithm (RFC 7518 §3.1), for example RS256, PS256 or ES256. It is HS256, HS384 or HS512 for a secret.
	// Default: RS256 for an RSA key, and the algorithm of the curve for a key on an elliptic curve.
	Alg string `json:"alg,omitempty"`
}

// resolved returns the checked source with its placeholders replaced. The source itself stays as it is in the config.
func (s BundleSource) resolved() (*bundle.Config, error) {
	repl := caddy.NewReplacer()
	if err := replaceAll(repl, &s.Location, &s.Scope); err != nil {
		return nil, err
	}
	c := &bundle.Config{
		Location: s.Location, Scope: s.Scope, Header: make(http.Header),
		PollMin: time.Duration(s.PollMin), PollMax: time.Duration(s.PollMax), LongPoll: time.Duration(s.LongPoll),
	}
	if err := bundle.CheckLocation(s.Location); err != nil {
		return nil, err
	}
	if err := s.checkPolling(); err != nil {
		return nil, err
	}
	for name, value := range s.Headers {
		if err := checkBundleHeader(name, value); err != nil {
			return nil, err
		}
		if err := replaceAll(repl, &value); err != nil {
			return nil, err
		}
		if !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("header %s: its value cannot stand in a header", name)
		}
		if c.Header.Get(name) != "" {
			return nil, fmt.Errorf("header %s is given twice", http.CanonicalHeaderKey(name))
		}
		c.Header.Set(name, value)
	}
	for n, key := range s.Keys {
		if key == nil {
			return nil, fmt.Errorf("key %d is null", n)
		}
		k, err := key.resolved(repl)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key.ID, err)
		}
		c.Keys = append(c.Keys, k)
	}
	return c, nil
}

func (s BundleSource) checkPolling() error {
	least, most, wait := time.Duration(s.PollMin), time.Duration(s.PollMax), time.Duration(s.LongPoll)
	switch {
	case !bundle.IsURL(s.Location) && (len(s.Headers) > 0 || least != 0 || most != 0 || wait != 0):
		return errors.New("header, poll and long_poll are for the URL of a bundle; a file is looked at four times a second")
	case (least == 0) != (most == 0):
		return errors.New("poll_min and poll_max go together")
	case least != 0 && (least < minPoll || most < least || most > maxPoll):
		return fmt.Errorf("poll is %s to %s; it is at least %s, at most %s, and begins with the lesser", least, most, minPoll, maxPoll)
	case wait != 0 && (wait < time.Second || wait > maxLongPoll || wait%time.Second != 0):
		return fmt.Errorf("long_poll is %s; it is whole seconds, at least 1s and at most %s", wait, maxLongPoll)
	}
	return nil
}

func (k BundleKeySource) resolved(repl *caddy.Replacer) (bundle.Key, error) {
	key := bundle.Key{ID: k.ID, Algorithm: k.Alg}
	switch {
	case (k.Key == "") == (k.File == ""):
		return key, errors.New("it has either a key or a file")
	case k.Key != "" && !onePlaceholder.MatchString(k.Key):
		return key, errors.New("a key is given by a placeholder, {env.*} or {file.*}, or is in a file")
	case k.File != "" && secretAlg(k.Alg):
		return key, errSecretByPath
	case k.Key != "":
		key.Material = k.Key
		return key, replaceAll(repl, &key.Material)
	}
	if err := replaceAll(repl, &k.File); err != nil {
		return key, err
	}
	pem, err := os.ReadFile(k.File)
	if err != nil {
		return key, err
	}
	key.Material = string(pem)
	return key, nil
}

var errSecretByPath = errors.New("a secret is given by a placeholder, {env.*} or {file.*}, and not by a path")

func secretAlg(alg string) bool { return strings.HasPrefix(alg, "HS") }

// checkBundleHeader refuses credentials in the config, and headers that the HTTP client sets.
func checkBundleHeader(name, value string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("%q is not a header name", name)
	case ownHeaders[http.CanonicalHeaderKey(name)]:
		return fmt.Errorf("header %s is set by the client itself", name)
	case httpguard.CarriesCredentials(name) && !strings.Contains(value, "{env.") && !strings.Contains(value, "{file."):
		return fmt.Errorf("header %s carries credentials: give them by {env.*} or {file.*}", name)
	}
	return nil
}

// ownHeaders are the headers of the connection and of the request for a bundle.
var ownHeaders = map[string]bool{
	"Accept-Encoding": true, "Connection": true, "Content-Length": true, "Host": true, "If-None-Match": true, "Keep-Alive": true,
	"Prefer": true, "Range": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}
