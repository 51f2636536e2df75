package caddymodule

import (
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

// parseBundle parses a policy's bundle:
//
//	bundle <file-or-url> {
//		key       <id> {env.*}|{file.*}|<pem-file> [<alg>]
//		scope     <scope>
//		header    <name> <value>
//		poll      <min> <max>
//		long_poll <duration>
//	}
func (p *PolicySource) parseBundle(d *caddyfile.Dispenser) error {
	if len(p.Paths) > 0 {
		return d.WrapErr(errPathsAndBundle)
	}
	s := new(BundleSource)
	if err := oneArg(&s.Location)(d); err != nil {
		return err
	}
	p.Bundle = s
	if !hasPlaceholder(s.Location) {
		if err := bundle.CheckLocation(s.Location); err != nil {
			return d.WrapErr(err)
		}
	}
	return parseBlock(d, subdirectives{
		"key":       repeatable(s.parseKey),
		"scope":     once(oneArg(&s.Scope)),
		"header":    repeatable(s.parseHeader),
		"poll":      once(s.parsePoll),
		"long_poll": once(s.parseLongPoll),
	})
}

func (s *BundleSource) parseKey(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 && len(args) != 3 {
		return d.ArgErr()
	}
	key := &BundleKeySource{ID: args[0]}
	for _, other := range s.Keys {
		if other.ID == key.ID {
			return d.Errf("key %q is given twice", key.ID)
		}
	}
	if onePlaceholder.MatchString(args[1]) {
		key.Key = args[1]
	} else {
		key.File = args[1]
	}
	if len(args) == 3 {
		key.Alg = args[2]
		if err := bundle.CheckAlgorithm(key.Alg); err != nil {
			return d.WrapErr(err)
		}
	}
	if key.File != "" && secretAlg(key.Alg) {
		return d.WrapErr(errSecretByPath)
	}
	s.Keys = append(s.Keys, key)
	return nil
}

func (s *BundleSource) parseHeader(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return d.ArgErr()
	}
	if err := checkBundleHeader(name, value); err != nil {
		return d.WrapErr(err)
	}
	if s.Headers == nil {
		s.Headers = make(map[string]string)
	}
	for other := range s.Headers {
		if strings.EqualFold(other, name) {
			return d.Errf("header %q is given twice", name)
		}
	}
	s.Headers[name] = value
	return s.checkAt(d)
}

func (s *BundleSource) parsePoll(d *caddyfile.Dispenser) error {
	var texts [2]string
	if !d.AllArgs(&texts[0], &texts[1]) {
		return d.ArgErr()
	}
	for n, target := range []*caddy.Duration{&s.PollMin, &s.PollMax} {
		parsed, err := caddy.ParseDuration(texts[n])
		if err != nil {
			return d.Errf("poll: %w", err)
		}
		*target = caddy.Duration(parsed)
	}
	if s.PollMin == 0 || s.PollMax == 0 {
		return d.Errf("poll is at least %s", minPoll)
	}
	return s.checkAt(d)
}

func (s *BundleSource) parseLongPoll(d *caddyfile.Dispenser) error {
	if err := duration(&s.LongPoll, time.Second, maxLongPoll)(d); err != nil {
		return err
	}
	return s.checkAt(d)
}

// checkAt checks the settings that have been parsed so far, so that an error names the line.
func (s *BundleSource) checkAt(d *caddyfile.Dispenser) error {
	if hasPlaceholder(s.Location) {
		return nil
	}
	return located(d, s.checkPolling())
}
