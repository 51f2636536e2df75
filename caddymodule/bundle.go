package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
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

// BundleSource says where a policy's OPA bundle is, and how it is got and verified.
type BundleSource struct {
	// Location is the path of a bundle (.tar.gz), or its https URL; http is for loopback hosts. A file
	// is read when the config is loaded and again when it changes. A URL is polled while the config runs;
	// what came last is kept in Caddy's storage, and there is no decision (503) before a first bundle
	// is there. Placeholders: {env.*} and {file.*}. Required.
	Location string `json:"location"`

	// Keys verify the bundle's signature, which is then required. Default: none, and a bundle that is
	// signed is refused.
	Keys []*BundleKeySource `json:"keys,omitempty"`

	// Scope is what the bundle's signature must have as its scope. It needs a key. Placeholders: {env.*}
	// and {file.*}. Default: none.
	Scope string `json:"scope,omitempty"`

	// Headers go with every request for the bundle, by name. In those that carry credentials, such as
	// Authorization, the value has a placeholder. Placeholders: {env.*} and {file.*}. Default: none.
	Headers map[string]string `json:"headers,omitempty"`

	// PollMin is the least time between two requests for the bundle, at least 1s. Default: 30s.
	PollMin caddy.Duration `json:"poll_min,omitempty"`

	// PollMax is the most time between two requests, at least poll_min and at most 24h. Default: 60s.
	PollMax caddy.Duration `json:"poll_max,omitempty"`

	// LongPoll asks the server to answer only when the bundle has changed, or after this time; a server
	// that does not know long polling is polled. Whole seconds, at least 1s and at most 10m. Default:
	// none, which asks for an answer at once.
	LongPoll caddy.Duration `json:"long_poll,omitempty"`
}

// BundleKeySource is a key that verifies signatures of bundles.
type BundleKeySource struct {
	// ID is the key's name, as the signature has it (kid, or keyid). A key that is the only one verifies
	// signatures of whatever name. Required.
	ID string `json:"id"`

	// Key is one placeholder, {env.*} or {file.*}, of a public key in PEM or of the secret of an HMAC
	// algorithm. Required, unless there is a file.
	Key string `json:"key,omitempty"`

	// File is the path of a public key in PEM. Placeholders: {env.*} and {file.*}. Required, unless
	// there is a key.
	File string `json:"file,omitempty"`

	// Alg is the JWS algorithm: RS256, PS256, ES256 and their like; HS256, HS384 or HS512 for a secret.
	// Default: RS256 for RSA keys, and for keys on an elliptic curve the one that goes with it.
	Alg string `json:"alg,omitempty"`
}

// resolved is the source with its placeholders replaced and its bounds checked; what it is made of stays as the
// config has it.
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

// onePlaceholder is a value that stands for a secret and is none.
var onePlaceholder = regexp.MustCompile(`^\{(env|file)\.[^{}]+\}$`)

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

// checkBundleHeader keeps credentials out of the config, and leaves to the HTTP client what is its own.
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

// ownHeaders are those of the connection, and those by which a bundle is asked for.
var ownHeaders = map[string]bool{
	"Accept-Encoding": true, "Connection": true, "Content-Length": true, "Host": true, "If-None-Match": true, "Keep-Alive": true,
	"Prefer": true, "Range": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}
