package registry

import (
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

func TestContainsSecret(t *testing.T) {
	secret := NewSecret()
	for text, want := range map[string]bool{
		secret: true, "key is " + secret: true, secret + " is the key": true, "x" + secret + "y": true, "m2m_" + secret: true,
		"m2m_" + strings.Repeat("0", 49) + " " + secret: true,
		"": false, "m2m_": false, secret[:52]: false, secret[1:]: false, "m2m_" + strings.Repeat("0", 49): false,
	} {
		if containsSecret(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// TestSecretsAreFoundInTexts: package credential finds the secrets of NewSecret.
func TestSecretsAreFoundInTexts(t *testing.T) {
	secret := NewSecret()
	if got := credential.Mask(`unknown field "` + secret + `" in it`); got != `unknown field "[secret]" in it` {
		t.Errorf("shown is %s", got)
	}
}

// TestParseFindsSecretsInText puts a secret in each text of an entry.
func TestParseFindsSecretsInText(t *testing.T) {
	secret := NewSecret()
	for name, file := range map[string]string{
		"description": "clients: {c: {description: 'key is " + secret + "'}}",
		"attribute":   "clients: {c: {attributes: {a: [{b: 'x" + secret + "'}]}}}",
		"name":        "clients: {c: {attributes: {'a" + secret + "': 1}}}",
		"id":          "clients: {x" + secret + ": {}}",
		"identifier":  "resources: {r: {actions: {a: ''}}}\nclients: {c: {grants: [{resource: r, identifiers: ['" + secret + "*'], actions: [a]}]}}",
		"action":      "resources: {r: {actions: {a: 'see " + secret + "'}}}",
		"field":       "clients: {c: {" + secret + ": 1}}",
	} {
		_, err := Parse("registry.yaml", []byte(file))
		if err == nil || !strings.Contains(err.Error(), "a secret stands in ") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stored := &Client{ID: "c", Description: "key is " + secret}
	if _, err := ParseClient("c", []byte(`{"disabled": true, "description": "key is `+secret+`"}`), nil, stored); err != nil {
		t.Errorf("one that is there keeps a client from being disabled: %v", err)
	}
	if _, err := ParseClient("c", []byte(`{"description": "it is `+secret+`"}`), nil, stored); err == nil {
		t.Error("a new one is accepted")
	}
}
