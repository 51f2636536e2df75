package caddymodule

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// onePlaceholder matches a value that refers to a secret without containing it.
var onePlaceholder = regexp.MustCompile(`^\{(env|file)\.[^{}]+\}$`)

// somePlaceholder matches a value of which a part refers to a secret without containing it.
var somePlaceholder = regexp.MustCompile(`\{(env|file)\.[^{}]+\}`)

// hasPlaceholder reports whether a value is known only after its placeholders are replaced.
func hasPlaceholder(value string) bool { return strings.Contains(value, "{") }

// replaceAll replaces the placeholders in fields. It fails on a placeholder that is unknown or empty.
func replaceAll(repl *caddy.Replacer, fields ...*string) error {
	for _, field := range fields {
		value, err := repl.ReplaceOrErr(*field, true, true)
		if err != nil {
			return fmt.Errorf("resolving %q: %w", *field, err)
		}
		*field = value
	}
	return nil
}

func pointers(texts []string) []*string {
	all := make([]*string, len(texts))
	for n := range texts {
		all[n] = &texts[n]
	}
	return all
}

func checkBounds(name string, value, least, most time.Duration) error {
	if value < least || value > most {
		return fmt.Errorf("%s is %s; it is at least %s and at most %s", name, value, least, most)
	}
	return nil
}
