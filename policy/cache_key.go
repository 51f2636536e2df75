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

// keyParts are the parts of a key besides those that each key has.
type keyParts struct {
	// of token decisions
	authMethod, audience bool
	// subject and actor of a token exchange, which are not in keys: a decision that reads one is not cached
	exchangeSubject, actor bool
	// ipByNetworks says that only what shippedAnswer computes reads the address, and so only if the client has networks.
	ipByNetworks bool
	// of decisions on proxied requests
	issuer, clientID, subject, scopes, method, host, pattern bool
	path, parameters, headers, claims                        parts
	// of both
	remoteIP bool
}

func keyPartsOf(input *reads) keyParts {
	return keyParts{
		authMethod: input.has("request", "auth_method"), audience: input.has("request", "audience"),
		exchangeSubject: input.has("subject"), actor: input.has("actor"),
		issuer: input.has("issuer"), clientID: input.has("token", "client_id"), subject: input.has("token", "subject"),
		scopes: input.has("token", "scopes"), method: input.has("request", "method"), host: input.has("request", "host"),
		pattern: input.has("request", "route", "pattern"), remoteIP: input.has("request", "remote_ip"),
		path: input.part("request", "path"), parameters: input.part("request", "route", "parameters"),
		headers: input.part("request", "headers"), claims: input.part("token", "claims"),
	}
}

// token returns the key of a token decision on an input whose resources have these codes, in this order.
func (k key) token(read *keyParts, in *TokenInput, codes []string) key {
	k = k.text(in.Issuer).text(in.Client.id()).text(in.Client.method()).scopes(in.Scopes).texts(codes)
	readsIP := read.remoteIP && (!read.ipByNetworks || in.Client != nil && len(in.Client.Networks) > 0)
	k = k.textIf(readsIP, in.Request.RemoteIP).textIf(read.authMethod, in.Request.AuthMethod)
	if read.audience {
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

func (c *Client) method() string {
	if c == nil {
		return ""
	}
	return c.AuthMethod
}

// request returns the key of a decision on a proxied request. It returns false for an input that has no key, because a claim
// has a type that JSON does not have.
func (k key) request(read *keyParts, in *RequestInput) (key, bool) {
	r := &in.Request
	k = k.textIf(read.issuer, in.Issuer).textIf(read.clientID, in.Token.ClientID).textIf(read.subject, in.Token.Subject)
	k = k.textIf(read.method, r.Method).textIf(read.host, r.Host).textIf(read.pattern, r.Route.Pattern).textIf(read.remoteIP, r.RemoteIP)
	if read.scopes {
		k = k.scopes(in.Token.Scopes)
	}
	k = k.elements(&read.path, r.Path)
	k = k.textMembers(&read.parameters, r.Route.Parameters).listMembers(&read.headers, r.Headers)
	return k.values(&read.claims, in.Token.Claims)
}

func (k key) textIf(read bool, s string) key {
	if !read {
		return k
	}
	return k.text(s)
}

// elements appends the elements that are read, each with whether it is there.
func (k key) elements(read *parts, all []string) key {
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

// textMembers, listMembers and values append the members that are read: all of them with their names, or each with whether it is
// there. They are three functions, because a key that is passed to a function value would be allocated.
func (k key) textMembers(read *parts, members map[string]string) key {
	k = k.countIf(read.isWhole(), len(members))
	for _, name := range namesOf(read, members) {
		value, ok := members[name]
		if k = k.name(read, name, ok); ok {
			k = k.text(value)
		}
	}
	return k
}

func (k key) listMembers(read *parts, members map[string][]string) key {
	k = k.countIf(read.isWhole(), len(members))
	for _, name := range namesOf(read, members) {
		value, ok := members[name]
		if k = k.name(read, name, ok); ok {
			k = k.texts(value)
		}
	}
	return k
}

// values returns false if there is a value of a type that JSON does not have.
func (k key) values(read *parts, members map[string]any) (_ key, isJSON bool) {
	k = k.countIf(read.isWhole(), len(members))
	isJSON = true
	for _, name := range namesOf(read, members) {
		value, ok := members[name]
		if k = k.name(read, name, ok); ok && isJSON {
			k, isJSON = k.value(value)
		}
	}
	return k, isJSON
}

func (k key) countIf(counts bool, n int) key {
	if !counts {
		return k
	}
	return k.count(n)
}

// name appends the name of a member, or only whether it is there if the policy says which members are read.
func (k key) name(read *parts, name string, isThere bool) key {
	switch {
	case read.isWhole():
		return k.text(name)
	case isThere:
		return append(k, 1)
	}
	return append(k, 0)
}

// isWhole reports whether all members of an object are read. An object has no indexes; rules that use one are not trusted.
func (p *parts) isWhole() bool { return p.all || len(p.indexes) > 0 }

// namesOf returns the names of the members that are read, in order.
func namesOf[T any](read *parts, members map[string]T) []string {
	switch {
	case !read.isWhole():
		return read.names
	case len(members) == 0:
		return nil
	}
	return slices.Sorted(maps.Keys(members))
}

// value appends a JSON value after a letter for its type. Only a list or an object is allocated.
func (k key) value(value any) (key, bool) {
	if k, ok := k.scalar(value); ok {
		return k, true
	}
	inner, ok := compound(value)
	return append(k, inner...), ok
}

func (k key) scalar(value any) (key, bool) {
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
	}
	return k, false
}

// compound returns what a list or an object appends to a key. It is not a method, because what a function passes to itself is
// allocated.
func compound(value any) (key, bool) {
	switch value := value.(type) {
	case []any:
		k := append(key(nil), '[').count(len(value))
		for _, element := range value {
			inner, ok := compound(element)
			if !ok {
				return nil, false
			}
			k = append(k, inner...)
		}
		return k, true
	case map[string]any:
		k := append(key(nil), '{').count(len(value))
		for _, name := range slices.Sorted(maps.Keys(value)) {
			inner, ok := compound(value[name])
			if !ok {
				return nil, false
			}
			k = append(k.text(name), inner...)
		}
		return k, true
	}
	return key(nil).scalar(value)
}
