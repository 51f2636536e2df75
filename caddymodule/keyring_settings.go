package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Defaults and bounds of how keys rotate. keyLeeway covers what doors may allow as their leeway.
const (
	defaultKeyRotation = 30 * 24 * time.Hour
	maxKeyRotation     = 10 * 365 * 24 * time.Hour
	keyPollInterval    = 5 * time.Second
	keyLeeway          = token.MaxLeeway
)

// KeySettings say how an issuer's signing keys rotate, and how they are stored.
type KeySettings struct {
	// KeyRotation is how often a new key takes over. The next one is published about ten minutes before it
	// signs, and the one before stays published until its last token has expired. 0 is that only a command makes
	// another. At least 15m5s plus token_ttl, so that no more than three keys are published; at most 10 years.
	// Default: 720h (30 days).
	KeyRotation *caddy.Duration `json:"key_rotation,omitempty"`

	// KeyEncryption encrypts private keys in storage, by AES-256-GCM: the base64 of 32 bytes, given by one
	// placeholder, {env.*} or {file.*}; a literal is an error, and so is a file that group or others may read. Keys
	// are encrypted with the first; further ones open what was encrypted with them before. Keys that are not
	// encrypted so are stored anew at the next rotation. Default: none.
	KeyEncryption []string `json:"key_encryption,omitempty"`

	// KeyTiming is for trying a rotation out in seconds, and not for production: caches of others know nothing of it.
	KeyTiming *KeyTiming `json:"key_timing,omitempty"`
}

// KeyTiming are times that KeyRotation is held against. All must be above 0.
type KeyTiming struct {
	// MaxAge is that of the published keys, in whole seconds. Default: 5m.
	MaxAge caddy.Duration `json:"max_age"`
	// Poll is how often storage is looked at. Default: 5s.
	Poll caddy.Duration `json:"poll"`
	// Leeway is how far clocks may be apart. Default: 5m.
	Leeway caddy.Duration `json:"leeway"`
}

// newKeyring makes the keyring of an issuer whose other settings have been checked.
func (i *Issuer) newKeyring(alg token.Alg) (*keyring, error) {
	times, err := i.KeySettings.times(time.Duration(i.TokenTTL))
	if err != nil {
		return nil, err
	}
	seal, err := newKeySeal(i.KeyEncryption)
	if err != nil {
		return nil, err
	}
	i.server.metrics.setHealthy("keys", true)
	return newKeyring(i.server.storage, i.URL, alg, times, seal, i.server.logger), nil
}

func (s *KeySettings) times(ttl time.Duration) (keyTimes, error) {
	t := keyTimes{defaultKeyRotation, ttl, jwksMaxAge, keyPollInterval, keyLeeway}
	if own := s.KeyTiming; own != nil {
		t.maxAge, t.poll, t.leeway = time.Duration(own.MaxAge), time.Duration(own.Poll), time.Duration(own.Leeway)
		if t.maxAge < time.Second || t.maxAge%time.Second != 0 || t.poll <= 0 || t.leeway <= 0 {
			return t, errors.New("key_timing needs a max_age of whole seconds, and poll and leeway above 0")
		}
	}
	if s.KeyRotation != nil {
		t.period = time.Duration(*s.KeyRotation)
	}
	if least := t.leastPeriod(); t.period != 0 && (t.period < least || t.period > maxKeyRotation) {
		return t, fmt.Errorf("key_rotation is %s; with a token_ttl of %s it is at least %s, and at most %s", t.period, ttl, least, maxKeyRotation)
	}
	return t, nil
}

func (s *KeySettings) parseRotation(d *caddyfile.Dispenser) error {
	s.KeyRotation = new(caddy.Duration)
	if args := d.CountRemainingArgs(); args == 1 {
		if d.NextArg(); d.Val() == "off" {
			return nil
		}
		d.Prev()
	}
	return duration(d, s.KeyRotation, keyTimes{0, 0, jwksMaxAge, keyPollInterval, keyLeeway}.leastPeriod(), maxKeyRotation)
}

func (s *KeySettings) parseEncryption(d *caddyfile.Dispenser) error {
	s.KeyEncryption = d.RemainingArgs()
	if len(s.KeyEncryption) == 0 {
		return d.ArgErr()
	}
	for _, placeholder := range s.KeyEncryption {
		if !onePlaceholder.MatchString(placeholder) {
			return d.WrapErr(errKeyEncryption)
		}
	}
	return nil
}
