package caddymodule_test

import (
	"os"
	"strings"
	"testing"
)

// TestValidateCreatesNothing: validating stores no key or other object.
func TestValidateCreatesNothing(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{policy: map[string]string{"fine.rego": "package m2m.token\n\nttl contains 60\n"}})
	if err := w.Validate(w.caddyfile()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(w.Storage)
	if err != nil || len(entries) != 0 {
		t.Errorf("in storage are %v, %v", entries, err)
	}
}

// TestValidateNeedsNoStorage: a config can be checked where the storage cannot be reached.
func TestValidateNeedsNoStorage(t *testing.T) {
	for _, operation := range []string{"Load", "Store", "List", "Lock"} {
		t.Run(operation, func(t *testing.T) {
			w := newIssuerWorld(t, issuerSettings{})
			w.FailStorage(operation)
			if err := w.Validate(w.caddyfile()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestValidateFindsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		registry string
		policy   string
		wants    []string
	}{
		"registry": {strings.Replace(catalogue, "actions: [read]", "actions: [reed]", 1), "", []string{"registry.yaml:13:"}},
		"field":    {strings.Replace(catalogue, "token_ttl: 2m", "token_tll: 2m", 1), "", []string{"registry.yaml:22:", `"token_ttl"`}},
		"syntax":   {"", "package m2m.token\n\nttl contains 60 if {\n", []string{"broken.rego:"}},
		"input":    {"", "package m2m.token\n\nttl contains 60 if input.clint.id == \"a\"\n", []string{"broken.rego:3:", `"client"`}},
		"builtin":  {"", "package m2m.token\n\nttl contains http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"}).status_code\n", []string{"broken.rego:3:", "http.send"}},
		"both": {
			strings.Replace(catalogue, "actions: [read]", "actions: [reed]", 1), "package m2m.token\n\nttl := 60\n",
			[]string{"registry.yaml:13:", "broken.rego:3:"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			settings := issuerSettings{registry: c.registry}
			if c.policy != "" {
				settings.policy = map[string]string{"broken.rego": c.policy}
			}
			w := newIssuerWorld(t, settings)
			err := w.Validate(w.caddyfile())
			for _, want := range c.wants {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("validating: %v, want %q in it", err, want)
				}
			}
		})
	}
}
