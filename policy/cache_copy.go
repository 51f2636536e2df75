package policy

import (
	"encoding/json"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// What things take in memory besides their text, roughly.
const (
	cachedSize = 300
	textSize   = 16
	memberSize = 64
)

// copier copies a decision for the cache, and counts its bytes. The decision may hold parts of the request, such as a scope
// that is a part of the whole body, which must not stay in memory. Slices have no room behind them, so that an append by one
// caller is not seen by another.
type copier struct{ size int }

func (c *copier) text(s string) string {
	c.size += textSize + len(s)
	return strings.Clone(s)
}

func copied[T any](all []T, one func(T) T) []T {
	if all == nil {
		return nil
	}
	copies := make([]T, len(all))
	for i, element := range all {
		copies[i] = one(element)
	}
	return copies
}

func (c *copier) texts(all []string) []string { return copied(all, c.text) }

func (c *copier) rejections(all []Rejection) []Rejection {
	return copied(all, func(r Rejection) Rejection { return Rejection{c.text(r.Scope), c.text(r.Reason)} })
}

func (c *copier) widenings(all []Widening) []Widening {
	return copied(all, func(w Widening) Widening { return Widening{c.text(w.Scope), c.text(w.Reason)} })
}

func (c *copier) scope(s scope.Scope) scope.Scope {
	return scope.Scope{Raw: c.text(s.Raw), Resource: c.text(s.Resource), Identifier: c.text(s.Identifier), Action: c.text(s.Action)}
}

func (c *copier) token(d TokenDecision) TokenDecision {
	d.Granted, d.Rejected, d.Observed = c.texts(d.Granted), c.rejections(d.Rejected), c.rejections(d.Observed)
	d.BeyondSubject = c.widenings(d.BeyondSubject)
	if d.Claims != nil {
		d.Claims = c.value(d.Claims).(map[string]any)
	}
	return d
}

func (c *copier) request(d RequestDecision) RequestDecision {
	d.Denied, d.Observed = c.texts(d.Denied), c.texts(d.Observed)
	d.Required = copied(d.Required, c.scope)
	if d.Headers != nil {
		headers := make(map[string]string, len(d.Headers))
		for name, value := range d.Headers {
			c.size += memberSize
			headers[c.text(name)] = c.text(value)
		}
		d.Headers = headers
	}
	return d
}

// value copies a JSON value as results decodes it.
func (c *copier) value(value any) any {
	c.size += textSize
	switch value := value.(type) {
	case string:
		return c.text(value)
	case json.Number:
		return json.Number(c.text(string(value)))
	case []any:
		return copied(value, c.value)
	case map[string]any:
		members := make(map[string]any, len(value))
		for name, member := range value {
			c.size += memberSize
			members[c.text(name)] = c.value(member)
		}
		return members
	}
	return value
}
