package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// TestKeysAreInjective: parts of a key cannot be read as other parts.
func TestKeysAreInjective(t *testing.T) {
	all := keyPartsOf(&reads{all: true})
	seen := make(map[string]string)
	add := func(k key, ok bool, input any) {
		text, err := json.Marshal(input)
		if err != nil || !ok {
			t.Fatalf("%v %t", err, ok)
		}
		if other, found := seen[string(k)]; found && other != string(text) {
			t.Errorf("%s and %s have the same key", other, text)
		}
		seen[string(k)] = string(text)
	}
	r := rand.New(rand.NewPCG(1, 1))
	few := []string{"", "a", "b", "ab", "\x01a", "\x00", "\x01"}
	for range 20_000 {
		in := TokenInput{
			Issuer: pick(r, few), Client: &Client{ID: pick(r, few)},
			Request: TokenRequest{RemoteIP: pick(r, few), AuthMethod: pick(r, few), Audience: append([]string{}, picks(r, few)...)},
			Scopes:  []scope.Scope{},
		}
		for range r.IntN(3) {
			in.Scopes = append(in.Scopes, scope.Scope{Raw: pick(r, few), Resource: pick(r, few), Identifier: pick(r, few), Action: pick(r, few)})
		}
		add(append(key(nil), 't').token(&all, &in, nil), true, in)
		proxied := RequestInput{
			Issuer: pick(r, few),
			Request: ProxiedRequest{
				Method: pick(r, few), Path: append([]string{}, picks(r, few)...), Host: pick(r, few),
				Route:   Route{Parameters: map[string]string{pick(r, few): pick(r, few)}},
				Headers: map[string][]string{pick(r, few): append([]string{}, picks(r, few)...)},
			},
			Token: Token{Scopes: in.Scopes, Claims: map[string]any{pick(r, few): someJSON(r, few, 3), pick(r, few): someJSON(r, few, 3)}},
		}
		k, ok := append(key(nil), 'r').request(&all, &proxied)
		add(k, ok, proxied)
	}
	if len(seen) < 20_000 {
		t.Errorf("only %d inputs differ", len(seen))
	}
	if _, ok := key(nil).value(map[string]any{"a": []any{struct{}{}}}); ok {
		t.Error("a value that is not JSON has a key")
	}
}

func someJSON(r *rand.Rand, few []string, depth int) any {
	switch r.IntN(7) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return json.Number(fmt.Sprint(r.IntN(3)))
	case 3, 4:
		list := []any{}
		for range r.IntN(depth) {
			list = append(list, someJSON(r, few, depth-1))
		}
		return list
	case 5:
		members := map[string]any{}
		for range r.IntN(depth) {
			members[pick(r, few)] = someJSON(r, few, depth-1)
		}
		return members
	}
	return pick(r, few)
}
