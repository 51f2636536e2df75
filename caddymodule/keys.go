package caddymodule

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Defaults and bounds of key rotation. keyLeeway covers the largest leeway of a door.
const (
	jwksMaxAge         = 5 * time.Minute
	defaultKeyRotation = 30 * 24 * time.Hour
	maxKeyRotation     = 10 * 365 * 24 * time.Hour
	keyPollInterval    = 5 * time.Second
	keyLeeway          = token.MaxLeeway
)

// KeySettings say how an issuer's signing keys rotate and how they are stored.
type KeySettings struct {
	// KeyRotation is the time for which a key signs before the next key replaces it. The next key is published about ten
	// minutes before it signs. The former key stays published until its last token has expired. With 0, keys rotate only
	// by command. At least 15m5s plus token_ttl, so that at most three keys are published. At most 10 years. Default: 720h
	// (30 days).
	KeyRotation *caddy.Duration `json:"key_rotation,omitempty"`

	// KeyEncryption encrypts private keys in storage with AES-256-GCM. Each entry is one placeholder, {env.*} or
	// {file.*}, for the base64 of 32 bytes. A literal is an error, and so is a file that other users can read or change.
	// The first entry encrypts; further ones only decrypt. Keys that are not encrypted with the first entry are
	// encrypted with it at the next rotation. Default: none.
	KeyEncryption []string `json:"key_encryption,omitempty"`

	// KeyTiming shortens the times of a rotation, for tests. Do not use it in production: other caches of the keys do not
	// follow it. Default: none.
	KeyTiming *KeyTiming `json:"key_timing,omitempty"`
}

// KeyTiming are the times that limit KeyRotation. Each is required and greater than 0.
type KeyTiming struct {
	// MaxAge is how long caches may keep the published keys, in whole seconds. It is 5m without KeyTiming.
	MaxAge caddy.Duration `json:"max_age"`
	// Poll is the time between two reads of storage. It is 5s without KeyTiming.
	Poll caddy.Duration `json:"poll"`
	// Leeway is the largest difference between clocks. It is 5m without KeyTiming.
	Leeway caddy.Duration `json:"leeway"`
}

// newKeyring returns the keys of an issuer whose other settings have been checked.
func (i *Issuer) newKeyring(alg token.Alg, storage certmagic.Storage, logger *zap.Logger) (*keyring.Ring, error) {
	times, err := i.KeySettings.times(time.Duration(i.TokenTTL))
	if err != nil {
		return nil, err
	}
	seal, err := newSeal(i.KeyEncryption)
	if err != nil {
		return nil, err
	}
	return keyring.New(storage, issuer.StoragePath(i.URL), alg, times, seal, logger), nil
}

func (s *KeySettings) times(ttl time.Duration) (keyring.Times, error) {
	t := keyring.Times{Period: defaultKeyRotation, TTL: ttl, MaxAge: jwksMaxAge, Poll: keyPollInterval, Leeway: keyLeeway}
	if own := s.KeyTiming; own != nil {
		t.MaxAge, t.Poll, t.Leeway = time.Duration(own.MaxAge), time.Duration(own.Poll), time.Duration(own.Leeway)
		if t.MaxAge < time.Second || t.MaxAge%time.Second != 0 || t.Poll <= 0 || t.Leeway <= 0 {
			return t, errors.New("key_timing needs a max_age of whole seconds, and poll and leeway above 0")
		}
	}
	if s.KeyRotation != nil {
		t.Period = time.Duration(*s.KeyRotation)
	}
	if least := t.MinPeriod(); t.Period != 0 && (t.Period < least || t.Period > maxKeyRotation) {
		return t, fmt.Errorf("key_rotation is %s; with a token_ttl of %s it is at least %s, and at most %s", t.Period, ttl, least, maxKeyRotation)
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
	least := keyring.Times{MaxAge: jwksMaxAge, Poll: keyPollInterval, Leeway: keyLeeway}.MinPeriod()
	return duration(s.KeyRotation, least, maxKeyRotation)(d)
}

func (s *KeySettings) parseEncryption(d *caddyfile.Dispenser) error {
	if err := someArgs(&s.KeyEncryption)(d); err != nil {
		return err
	}
	for _, placeholder := range s.KeyEncryption {
		if !onePlaceholder.MatchString(placeholder) {
			return d.WrapErr(errKeyEncryption)
		}
	}
	return nil
}

var errKeyEncryption = errors.New("key_encryption takes placeholders, {env.*} or {file.*}: a literal key would stand in the config")

// newSeal replaces the placeholders of encryption keys. Its errors do not contain the keys.
func newSeal(placeholders []string) (*keyring.Seal, error) {
	if len(placeholders) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(placeholders))
	for n, placeholder := range placeholders {
		key, err := encryptionKey(placeholder)
		if err != nil {
			return nil, err
		}
		keys[n] = key
	}
	return keyring.NewSeal(keys...)
}

func encryptionKey(placeholder string) ([]byte, error) {
	if !onePlaceholder.MatchString(placeholder) {
		return nil, errKeyEncryption
	}
	if file, ok := strings.CutPrefix(placeholder, "{file."); ok {
		if err := checkOnlyOwnerReads(strings.TrimSuffix(file, "}")); err != nil {
			return nil, fmt.Errorf("key_encryption: %w", err)
		}
	}
	value := placeholder
	if err := replaceAll(caddy.NewReplacer(), &value); err != nil {
		return nil, fmt.Errorf("key_encryption: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("key_encryption: %s is not the base64 of 32 bytes; make some with `openssl rand -base64 32`", placeholder)
	}
	return key, nil
}

// checkOnlyOwnerReads refuses a key file that other users can read or change. Windows has other permissions.
func checkOnlyOwnerReads(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o066 != 0 {
		return fmt.Errorf("%s has mode %04o, so others may read or change it; make it 0600", file, mode)
	}
	return nil
}
