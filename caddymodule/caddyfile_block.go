package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
)

// parser parses the arguments and the block of a directive, whose name is the current token.
type parser func(*caddyfile.Dispenser) error

// subdirectives maps the names that a block may have to their parsers.
type subdirectives map[string]subdirective

type subdirective struct {
	parse  parser
	repeat bool
}

func once(parse parser) subdirective { return subdirective{parse: parse} }

func repeatable(parse parser) subdirective { return subdirective{parse: parse, repeat: true} }

// parseBlock parses the block that comes next, if there is one. It fails on a name that the block may not have,
// and on one that is given twice.
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

// hint suggests the known name that is nearest to an unknown one.
func (known subdirectives) hint(name string) string {
	nearest := suggest.Nearest(name, maps.Keys(known))
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", nearest)
}

// located adds the file and the line to an error, if there is one.
func located(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}

func oneArg(target *string) parser {
	return func(d *caddyfile.Dispenser) error {
		if !d.AllArgs(target) {
			return d.ArgErr()
		}
		return nil
	}
}

// someArgs takes one argument or more.
func someArgs(target *[]string) parser {
	return func(d *caddyfile.Dispenser) error {
		if *target = d.RemainingArgs(); len(*target) == 0 {
			return d.ArgErr()
		}
		return nil
	}
}

func noArgs(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// flag takes no argument and sets target.
func flag(target *bool) parser {
	return func(d *caddyfile.Dispenser) error {
		*target = true
		return noArgs(d)
	}
}

// off takes the one argument "off" and sets target, which turns off what is on by default.
func off(target *bool) parser {
	return func(d *caddyfile.Dispenser) error {
		var value string
		if err := oneArg(&value)(d); err != nil {
			return err
		}
		if value != "off" {
			return d.WrapErr(errors.New("the only value is off"))
		}
		*target = true
		return nil
	}
}

func duration(target *caddy.Duration, least, most time.Duration) parser {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var text string
		if err := oneArg(&text)(d); err != nil {
			return err
		}
		parsed, err := caddy.ParseDuration(text)
		if err != nil {
			return d.Errf("%s: %w", name, err)
		}
		*target = caddy.Duration(parsed)
		return located(d, checkBounds(name, parsed, least, most))
	}
}
