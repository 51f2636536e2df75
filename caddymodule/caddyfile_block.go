package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
)

// subdirectives maps the names that a block may have to what parses them.
type subdirectives map[string]subdirective

type subdirective struct {
	parse  func(*caddyfile.Dispenser) error
	repeat bool
}

func once(parse func(*caddyfile.Dispenser) error) subdirective { return subdirective{parse: parse} }

func repeatable(parse func(*caddyfile.Dispenser) error) subdirective {
	return subdirective{parse: parse, repeat: true}
}

// parseBlock parses the block that the dispenser stands before, if there is one. It fails on a
// name that the block may not have, naming the nearest that it may, and on one given twice.
func parseBlock(d *caddyfile.Dispenser, known subdirectives) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		sub, ok := known[name]
		switch {
		case !ok:
			return d.Errf("unknown subdirective %q%s", name, known.hint(name))
		case seen[name] && !sub.repeat:
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := sub.parse(d); err != nil {
			return err
		}
	}
	return nil
}

// hint names the nearest of the known names, if one is near.
func (known subdirectives) hint(name string) string {
	nearest := suggest.Nearest(name, maps.Keys(known))
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", nearest)
}

func oneArg(d *caddyfile.Dispenser, target *string) error {
	if !d.AllArgs(target) {
		return d.ArgErr()
	}
	return nil
}

func noArgs(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// onlyOff takes the one argument "off", for things that are on unless they are switched off.
func onlyOff(d *caddyfile.Dispenser) error {
	var value string
	if err := oneArg(d, &value); err != nil {
		return err
	}
	if value != "off" {
		return d.WrapErr(errors.New("the only value is off"))
	}
	return nil
}

func duration(d *caddyfile.Dispenser, target *caddy.Duration, least, most time.Duration) error {
	name := d.Val()
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	parsed, err := caddy.ParseDuration(text)
	if err != nil {
		return d.Errf("%s: %w", name, err)
	}
	if parsed < least || parsed > most {
		return d.Errf("%s is %s; it is at least %s and at most %s", name, parsed, least, most)
	}
	*target = caddy.Duration(parsed)
	return nil
}

// hasPlaceholder reports whether a value is known only once its placeholders are resolved.
func hasPlaceholder(value string) bool { return strings.Contains(value, "{") }
