package lint

import (
	"net/url"
	"slices"
)

// certificates reports an issuer that never gets the certificates of its clients where its config says that it does.
func (k *checker) certificates(i *Issuer) {
	base, err := url.Parse(i.MTLSURL)
	if i.MTLSURL == "" || i.CertificatesFromProxy || err != nil {
		return
	}
	places := slices.DeleteFunc(slices.Clone(k.served[i.URL]), func(p *place) bool {
		return !p.flow.admitsHost(base.Hostname()) || !p.flow.admits(i.TokenPath)
	})
	switch {
	case len(places) == 0:
		k.report(i.Position, "no site serves the issuer "+i.URL+" at "+i.MTLSURL+", which its mtls_endpoint_aliases names; add m2m_issuer to the site "+siteOf(base))
	case !slices.ContainsFunc(places, func(p *place) bool { return p.flow.clientAuth }):
		k.report(i.Position, "the site "+siteOf(base)+", which mtls_endpoint_aliases of the issuer "+i.URL+
			" names, asks no client for a certificate; add `tls { client_auth { … } }` to it")
	}
}
