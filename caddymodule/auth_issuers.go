package caddymodule

import (
	"errors"
	"fmt"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// listed returns the issuers of the config, from Issuer or from Issuers.
func (h *AuthHandler) listed() ([]*TrustedIssuer, error) {
	if len(h.Issuers) == 0 {
		return []*TrustedIssuer{{URL: h.Issuer}}, nil
	}
	if h.Issuer != "" {
		return nil, errors.New("issuer and issuers are both given; one of them says whose tokens are taken")
	}
	for n, t := range h.Issuers {
		switch {
		case t == nil:
			return nil, fmt.Errorf("issuers: %d is null", n)
		case t.URL == "":
			return nil, fmt.Errorf("issuers: %d has no issuer", n)
		}
	}
	return h.Issuers, nil
}

// checkIssuers finds errors of those issuers that are known without placeholders.
func (h *AuthHandler) checkIssuers(app *App) error {
	all, err := h.listed()
	if err != nil {
		return err
	}
	for _, t := range all {
		if hasPlaceholder(t.URL) {
			continue
		}
		if _, err := t.find(app, h.Audience); err != nil {
			return err
		}
	}
	return nil
}

// findIssuers finds all issuers, and gives the door the audience of the first if it has none.
func (h *AuthHandler) findIssuers(app *App) error {
	var err error
	if h.trusted, err = h.listed(); err != nil {
		return err
	}
	for _, audience := range h.Audience {
		if err := token.CheckName(audience); err != nil {
			return fmt.Errorf("audience: %w", err)
		}
	}
	seen := make(map[string]bool)
	for _, t := range h.trusted {
		if err := t.provision(app, h.Audience); err != nil {
			return err
		}
		if seen[t.URL] {
			return fmt.Errorf("issuer %q is given twice", t.URL)
		}
		seen[t.URL] = true
	}
	if len(h.Audience) == 0 {
		h.Audience = h.trusted[0].Audience
	}
	h.metrics = h.trusted[0].metrics
	if len(h.trusted) > 1 {
		h.metrics = app.metrics.Door("")
	}
	return nil
}

// onlyIssuer returns the URL of the door's only issuer, "" if it has several.
func (h *AuthHandler) onlyIssuer() string {
	if len(h.trusted) == 1 {
		return h.trusted[0].URL
	}
	return ""
}
