package store_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

func TestStoreRefuses(t *testing.T) {
	now := time.Now()
	secret := func(id string, expires time.Time) registry.Secret {
		return registry.Secret{ID: id, SHA256: registry.SumSecret(registry.NewSecret()), Expires: expires}
	}
	three := []registry.Secret{secret("s1", time.Time{}), secret("s2", time.Time{}), secret("s3", now.Add(time.Hour))}
	past := []registry.Secret{secret("s1", time.Time{}), secret("s2", time.Time{}), secret("s3", now.Add(-time.Hour))}
	cases := map[string]struct {
		id     string
		client registry.Client
		want   string // part of the problem; "" is none
	}{
		"unknown resource":   {"c", registry.Client{Grants: []scope.Grant{grant("bok", "*", "read")}}, `unknown resource "bok": did you mean "book"?`},
		"unknown action":     {"c", registry.Client{Grants: []scope.Grant{grant("book", "*", "raed")}}, `unknown action "raed": did you mean "read"?`},
		"identifier":         {"c", registry.Client{Grants: []scope.Grant{grant("book", "a*b", "read")}}, `"*" stands only at the end`},
		"percent in the id":  {"a%b", registry.Client{}, "a client's id: character 0x25"},
		"empty id":           {"", registry.Client{}, "a client's id: empty"},
		"dots":               {"..", registry.Client{}, `"." and ".."`},
		"very long":          {strings.Repeat("=", 128), registry.Client{}, "too long for the storage"},
		"secret as text":     {"c", registry.Client{Description: registry.NewSecret()}, "a secret stands in description: the registry holds"},
		"fractional ttl":     {"c", registry.Client{TokenTTL: 1500 * time.Millisecond}, "token_ttl must be whole seconds"},
		"negative rate":      {"c", registry.Client{Limits: registry.Limits{RatePerSecond: -1}}, "rate must be a number of requests per s, m or h"},
		"rate not a number":  {"c", registry.Client{Limits: registry.Limits{RatePerSecond: math.NaN()}}, "rate must be a number of requests per s, m or h"},
		"endless rate":       {"c", registry.Client{Limits: registry.Limits{RatePerSecond: math.Inf(1)}}, "rate must be a number of requests per s, m or h"},
		"negative burst":     {"c", registry.Client{Limits: registry.Limits{Burst: -1}}, "burst must be a whole number from 1 to 1000000"},
		"three live secrets": {"c", registry.Client{Secrets: three}, "2 secrets that work at a time, not 3"},
		"two and one past":   {"c", registry.Client{Secrets: past}, ""},
		"large":              {"c", registry.Client{Description: strings.Repeat("x", 1<<20)}, "larger than 1024 KiB"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, s := newBookStore(t)
			before := m.keys()
			_, err := s.EditClient(ctx, c.id, func(*registry.Client) (*registry.Client, error) { return &c.client, nil })
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var invalid *registry.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v; it should say %q", err, c.want)
			}
			if !slices.Equal(m.keys(), before) {
				t.Errorf("something was stored: %v", m.keys())
			}
		})
	}
}

func TestStoreKeepsResourcesThatGrantsName(t *testing.T) {
	_, s := newBookStore(t)
	putResource(t, s, "invoice", "read", "pay")
	putClient(t, s, "payer", grant("*", "*", "pay"))
	end := func(*registry.Resource) (*registry.Resource, error) { return nil, nil }
	without := func(action string) func(*registry.Resource) (*registry.Resource, error) {
		return func(r *registry.Resource) (*registry.Resource, error) { delete(r.Actions, action); return r, nil }
	}
	for name, c := range map[string]struct {
		code string
		edit func(*registry.Resource) (*registry.Resource, error)
		by   string
	}{
		"the resource":                     {"book", end, "ci-bot"},
		"an action of it":                  {"book", without("read"), "ci-bot"},
		"the last resource of the action":  {"invoice", end, "payer"},
		"the last such action by wildcard": {"invoice", without("pay"), "payer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.EditResource(ctx, c.code, c.edit)
			var inUse *registry.InUseError
			if !errors.As(err, &inUse) || !slices.Equal(inUse.By, []string{c.by}) {
				t.Errorf("the error is %v; it should name %s", err, c.by)
			}
			r, err := s.Resource(ctx, c.code)
			if err != nil || len(r.Actions) != 2 {
				t.Errorf("the resource is now %+v, %v", r, err)
			}
		})
	}
	if _, err := s.EditResource(ctx, "book", without("edit")); err != nil {
		t.Errorf("an action that no grant names stays: %v", err)
	}
}
