package policy

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// Up to these sizes a key and its codes are not allocated.
const (
	keySpace  = 512
	codeSpace = 8
)

// key is what a decision depends on, as text. Two inputs have the same key only if they are equal in all that the rules read:
// each part has its length before it, and which parts there are depends on the policy alone. The key of a token decision names
// its client and resources; their versions are compared besides.
type key []byte

func (k key) text(s string) key {
	return append(binary.AppendUvarint(k, uint64(len(s))), s...)
}

func (k key) count(n int) key { return binary.AppendUvarint(k, uint64(n)) }

func (k key) texts(all []string) key {
	k = k.count(len(all))
	for _, s := range all {
		k = k.text(s)
	}
	return k
}

// scopes appends the whole scopes, because a caller may have made one from other text than its own.
func (k key) scopes(all []scope.Scope) key {
	k = k.count(len(all))
	for i := range all {
		s := &all[i]
		k = k.text(s.Raw).text(s.Resource).text(s.Identifier).text(s.Action)
	}
	return k
}

// token returns the key of a token decision on an input whose resources have these codes, in this order.
func (k key) token(d *dependencies, in *TokenInput, codes []string) key {
	k = k.text(in.Issuer).text(in.Client.id()).scopes(in.Scopes).texts(codes)
	if d.input.has("request", "remote_ip") {
		k = k.text(in.Request.RemoteIP)
	}
	if d.input.has("request", "auth_method") {
		k = k.text(in.Request.AuthMethod)
	}
	if d.input.has("request", "audience") {
		k = k.texts(in.Request.Audience)
	}
	return k
}

// sortedCodes appends the codes of resources in order.
func sortedCodes(codes []string, resources map[string]*Resource) []string {
	for code := range resources {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

func (c *Client) id() string {
	if c == nil {
		return ""
	}
	return c.ID
}

// request returns the key of a decision on a proxied request. It returns false for an input that has no key, because a claim
// has a type that JSON does not have.
func (k key) request(d *dependencies, in *RequestInput) (key, bool) {
	read := &d.input
	if read.has("issuer") {
		k = k.text(in.Issuer)
	}
	if read.has("token", "client_id") {
		k = k.text(in.Token.ClientID)
	}
	if read.has("token", "subject") {
		k = k.text(in.Token.Subject)
	}
	if read.has("token", "scopes") {
		k = k.scopes(in.Token.Scopes)
	}
	return k.proxied(read.at("request"), &in.Request).values(read.part("token", "claims"), in.Token.Claims)
}

func (k key) proxied(read *reads, r *ProxiedRequest) key {
	if read.has("method") {
		k = k.text(r.Method)
	}
	if read.has("host") {
		k = k.text(r.Host)
	}
	if read.has("route", "pattern") {
		k = k.text(r.Route.Pattern)
	}
	if read.has("remote_ip") {
		k = k.text(r.RemoteIP)
	}
	k = k.elements(read.part("path"), r.Path)
	k = appendMembers(k, read.part("route", "parameters"), r.Route.Parameters, key.text)
	return appendMembers(k, read.part("headers"), r.Headers, key.texts)
}

// elements appends the elements that are read, each with whether it is there.
func (k key) elements(read parts, all []string) key {
	if read.all || len(read.names) > 0 {
		return k.texts(all)
	}
	for _, i := range read.indexes {
		if i >= len(all) {
			k = append(k, 0)
			continue
		}
		k = append(k, 1).text(all[i])
	}
	return k
}

// appendMembers appends the members that are read, each with whether it is there, or all with their names.
func appendMembers[T any](k key, read parts, members map[string]T, add func(key, T) key) key {
	if read.all || len(read.indexes) > 0 {
		k = k.count(len(members))
		for _, name := range sorted(members) {
			k = add(k.text(name), members[name])
		}
		return k
	}
	for _, name := range read.names {
		value, ok := members[name]
		if !ok {
			k = append(k, 0)
			continue
		}
		k = add(append(k, 1), value)
	}
	return k
}

// values is appendMembers for JSON values. It returns false if there is one of another type.
func (k key) values(read parts, members map[string]any) (_ key, ok bool) {
	ok = true
	k = appendMembers(k, read, members, func(k key, value any) key {
		var is bool
		k, is = k.value(value)
		ok = ok && is
		return k
	})
	return k, ok
}

// value appends a JSON value after a letter for its type.
func (k key) value(value any) (key, bool) {
	switch value := value.(type) {
	case nil:
		return append(k, '0'), true
	case bool:
		if value {
			return append(k, 't'), true
		}
		return append(k, 'f'), true
	case string:
		return append(k, '"').text(value), true
	case json.Number:
		return append(k, '#').text(string(value)), true
	case float64:
		return binary.BigEndian.AppendUint64(append(k, '.'), math.Float64bits(value)), true
	case int:
		return binary.AppendVarint(append(k, 'i'), int64(value)), true
	case int64:
		return binary.AppendVarint(append(k, 'l'), value), true
	case []string:
		return append(k, 's').texts(value), true
	case []any:
		ok := true
		k = append(k, '[').count(len(value))
		for i := 0; ok && i < len(value); i++ {
			k, ok = k.value(value[i])
		}
		return k, ok
	case map[string]any:
		return append(k, '{').values(parts{all: true}, value)
	}
	return k, false
}

// sorted returns the names of members in order. It does not allocate for up to one.
func sorted[T any](members map[string]T) []string {
	if len(members) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(members))
}
