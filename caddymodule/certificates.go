package caddymodule

import (
	"fmt"
	"net/url"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// parseCertificateHeader parses a subdirective whose only argument is the name of a header, by default that of RFC 9440.
func parseCertificateHeader(target *string) parser {
	return func(d *caddyfile.Dispenser) error {
		*target = clientcert.DefaultHeader
		if d.NextArg() {
			*target = d.Val()
		}
		if err := noArgs(d); err != nil {
			return err
		}
		return located(d, door.CheckCertificateHeader(*target))
	}
}

func (i *Issuer) parseMTLSAliases(d *caddyfile.Dispenser) error {
	if err := oneArg(&i.MTLSEndpointAliases)(d); err != nil || hasPlaceholder(i.URL+i.MTLSEndpointAliases) {
		return err
	}
	return located(d, i.checkCertificates())
}

// checkCertificates checks where the certificates of clients come from.
func (i *Issuer) checkCertificates() error {
	if i.ClientCertificateHeader != "" {
		if err := door.CheckCertificateHeader(i.ClientCertificateHeader); err != nil {
			return fmt.Errorf("client_certificate_header: %w", err)
		}
	}
	if i.MTLSEndpointAliases == "" {
		return nil
	}
	if err := oauth.CheckIssuer(i.MTLSEndpointAliases); err != nil {
		return fmt.Errorf("mtls_endpoint_aliases: %w", err)
	}
	own, _ := url.Parse(i.URL) // both are checked
	alias, _ := url.Parse(i.MTLSEndpointAliases)
	switch {
	case alias.Scheme != "https":
		return fmt.Errorf("mtls_endpoint_aliases: %q is not an https URL, so clients cannot present a certificate there", i.MTLSEndpointAliases)
	case alias.Path != own.Path:
		return fmt.Errorf("mtls_endpoint_aliases: the path of %q is not that of the issuer, by which m2m_issuer finds its routes", i.MTLSEndpointAliases)
	case i.MTLSEndpointAliases == i.URL:
		return fmt.Errorf("mtls_endpoint_aliases: %q is the issuer's URL; name another host or port, or remove the option", i.MTLSEndpointAliases)
	}
	return nil
}

// takeCertificates tells the issuers whose clients can present a certificate, for their metadata. A server that asks clients for
// one may do so for every site: Caddy does not say which.
func (a *App) takeCertificates() {
	asks := false
	if app, err := a.ctx.AppIfConfigured("http"); err == nil {
		for _, server := range app.(*caddyhttp.App).Servers {
			asks = asks || asksForCertificates(server.TLSConnPolicies)
		}
	}
	for _, i := range a.Issuers {
		if asks || i.ClientCertificateHeader != "" || i.MTLSEndpointAliases != "" {
			i.server.TakeCertificates()
		}
	}
}
