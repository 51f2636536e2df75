package issuer

import (
	"sync"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// TestPolicyInputsStandForOneVersion: a version has one input for all callers, and another version has another.
func TestPolicyInputsStandForOneVersion(t *testing.T) {
	s := &Server{Config: Config{Audience: "https://api.example.com"}, inputs: newPolicyInputs()}
	first, second := &registry.Client{ID: "a"}, &registry.Client{ID: "a", Description: "changed"}
	var all sync.WaitGroup
	got := make([]*policy.Client, 8)
	for i := range got {
		all.Go(func() { got[i] = s.policyClient(first, "client_secret_basic") })
	}
	all.Wait()
	for _, c := range got {
		if c != got[0] || c.Description != "" {
			t.Fatalf("got %+v and %+v of one version", c, got[0])
		}
	}
	if c := s.policyClient(second, "client_secret_basic"); c == got[0] || c.Description != "changed" {
		t.Errorf("got %+v of the next version", c)
	}
	if c := s.policyClient(first, "private_key_jwt"); c == got[0] || c.AuthMethod != "private_key_jwt" || got[0].AuthMethod != "client_secret_basic" {
		t.Errorf("got %+v of another method", c)
	}
	book := &registry.Resource{Code: "book", Actions: map[string]string{"read": "", "edit": ""}}
	if r := s.policyResource(book); r != s.policyResource(book) || r.Audience != "https://api.example.com" || len(r.Actions) != 2 {
		t.Errorf("got %+v of a resource", r)
	}
}

// TestPolicyInputsAreBounded: what was used least recently goes first, and a value that is too large alone is not kept.
func TestPolicyInputsAreBounded(t *testing.T) {
	built := 0
	c := newInputCache[*int, int](100)
	get := func(key *int, weight int) {
		t.Helper()
		if got := c.get(key, func() int { built++; return *key }, func(int) int { return weight }); got != *key {
			t.Errorf("got %d, want %d", got, *key)
		}
	}
	keys := []*int{new(int), new(int), new(int)}
	for i, key := range keys {
		*key = i
	}
	get(keys[0], 50)
	get(keys[1], 50)
	get(keys[0], 50)
	get(keys[2], 50) // in place of 1
	get(keys[0], 50)
	if built != 3 || *c.free != 0 {
		t.Errorf("%d were built, %d are free", built, *c.free)
	}
	get(keys[1], 101)
	get(keys[1], 101)
	if built != 5 || *c.free != 100 || c.kept.Len() != 0 {
		t.Errorf("%d were built, %d are free, %d are kept", built, *c.free, c.kept.Len())
	}
}
