package caddymodule

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/slowdown"
)

// Defaults of an issuer's client limits. They stop what no client needs, even if many machines that share it start at the same
// time, and one that measures a server.
const (
	defaultRate       = "10000/s"
	defaultConcurrent = 1000
)

// noLimit is how a config turns a limit off: off for a text, -1 for a number.
const noLimit = -1

// admissions admits the requests of all issuers of this process, because they share its processors. What clients have used
// survives a reload.
var admissions = sync.OnceValue(func() *admission.Control {
	c := admission.New(1)
	c.Breathe()
	return c
})

// failures slows down the callers of all issuers of this process that fail to authenticate. What it has counted survives a
// reload.
var failures = slowdown.New()

// ClientLimits bound what one client may ask of an issuer's token, introspection and revocation endpoints. A request beyond
// them is refused with 429 and Retry-After (RFC 6585 §4). A client in the registry may have its own limits. Each process
// counts for itself. Requests that fail to authenticate a client do not count.
type ClientLimits struct {
	// Rate is how many requests a client may make in the long run, per s, m or h, such as 100/s, or off. An introspection
	// counts as a tenth of a request. From 1/h to 1000000/s. Default: 10000/s.
	Rate string `json:"rate,omitempty"`

	// Burst is how many requests a client may make at once after a pause, before its rate limits it. From 1 to 1000000.
	// Default: what the rate allows in ten seconds, and at least 10.
	Burst int `json:"burst,omitempty"`

	// Concurrent is how many requests of a client may be in progress at a time, those that wait for their turn included. -1
	// turns the limit off. From 1 to 10000. Default: 1000.
	Concurrent int `json:"concurrent,omitempty"`
}

// limits returns the limits with their defaults.
func (l ClientLimits) limits() (admission.Limits, error) {
	if l.Rate == "" {
		l.Rate = defaultRate
	}
	if l.Concurrent == 0 {
		l.Concurrent = defaultConcurrent
	}
	limits := admission.Limits{Concurrent: max(0, l.Concurrent)}
	if l.Rate != "off" {
		var err error
		if limits.Rate, err = registry.ParseRate(l.Rate); err != nil {
			return limits, fmt.Errorf("rate %w", err)
		}
	}
	if limits.Burst = l.Burst; l.Burst == 0 {
		limits.Burst = registry.BurstOf(limits.Rate)
	}
	if err := checkCount("burst", limits.Burst, registry.MaxBurst); err != nil {
		return limits, err
	}
	if l.Concurrent == noLimit {
		return limits, nil
	}
	return limits, checkCount("concurrent", l.Concurrent, registry.MaxConcurrent)
}

func checkCount(name string, value, most int) error {
	if value < 1 || value > most {
		return fmt.Errorf("%s is %d; it is at least 1 and at most %d", name, value, most)
	}
	return nil
}

// parseClientLimits parses the subdirective client_limits; parseApp shows the grammar.
func (i *Issuer) parseClientLimits(d *caddyfile.Dispenser) error {
	l := &i.ClientLimits
	if d.NextArg() {
		if d.Val() != "off" {
			return d.Errf("client_limits takes a block, or off")
		}
		l.Rate, l.Concurrent = "off", noLimit
		return noArgs(d)
	}
	err := parseBlock(d, subdirectives{
		"rate":       once(oneArg(&l.Rate)),
		"burst":      once(count(&l.Burst, nil)),
		"concurrent": once(count(&l.Concurrent, map[string]int{"off": noLimit})),
	})
	if err != nil {
		return err
	}
	if hasPlaceholder(l.Rate) {
		return nil
	}
	if _, err = l.limits(); err != nil {
		return d.Errf("client_limits: %w", err)
	}
	return nil
}

// count takes a number of at least 1, or a word that stands for another number.
func count(target *int, words map[string]int) parser {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var text string
		if err := oneArg(&text)(d); err != nil {
			return err
		}
		value, isWord := words[text]
		if !isWord {
			value, _ = strconv.Atoi(text)
		}
		if value < 1 && !isWord {
			return d.Errf("%s must be a whole number of at least 1", name)
		}
		*target = value
		return nil
	}
}

// sharedAdmission returns the admission of this process. The number of processors may have changed since the last config.
func sharedAdmission() *admission.Control {
	shared := admissions()
	shared.SetSlots(runtime.GOMAXPROCS(0))
	return shared
}
